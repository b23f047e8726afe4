// Structured logging: a message, a component name and fields. Where lines go is the host's business (a sink).

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
const ORDER: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

export type LogFields = Record<string, unknown>;

export interface LogRecord {
  readonly level: LogLevel;
  readonly component: string;
  readonly message: string;
  readonly fields: LogFields;
}

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger whose records carry this component name and these fields. */
  child(component: string, fields?: LogFields): Logger;
  /** What is written, by it and all its children, from the next line on; absent where nothing is. */
  readonly levels?: LogLevels;
}

/** May be changed at any time. */
export interface LogLevels {
  /** Of components that are not named. */
  level: LogLevel;
  readonly components: Map<string, LogLevel>;
}

/** Whether a line of one level is to be seen where `least` is asked for. */
export const atLeast = (level: LogLevel, least: LogLevel) => ORDER[level] >= ORDER[least];

export interface LoggerOptions {
  readonly sink: (record: LogRecord) => void;
  /** The least level written; `levels` overrides it per component. */
  readonly level?: LogLevel;
  readonly levels?: Readonly<Record<string, LogLevel>>;
}

/** `kubelet=debug,apiserver=warn` for `LoggerOptions.levels`. Throws an Error that says what is wrong. */
export function parseLogLevels(text: string): Record<string, LogLevel> {
  const levels: Record<string, LogLevel> = {};
  for (const pair of text.split(',')) {
    const [component = '', level = ''] = pair.split('=').map((part) => part.trim());
    if (!component || !Object.hasOwn(ORDER, level)) {
      throw new Error(`write it like kubelet=debug,apiserver=warn; levels are ${Object.keys(ORDER).join(', ')}`);
    }
    levels[component] = level as LogLevel;
  }
  return levels;
}

export function createLogger(options: LoggerOptions, component = 'coracle', fields: LogFields = {}): Logger {
  const { sink, level = 'info', levels = {} } = options;
  return loggerOf(sink, { level, components: new Map(Object.entries(levels)) }, component, fields);
}

function loggerOf(sink: LoggerOptions['sink'], levels: LogLevels, component: string, fields: LogFields): Logger {
  const write = (level: LogLevel) => (message: string, more?: LogFields) => {
    if (ORDER[level] >= ORDER[levels.components.get(component) ?? levels.level])
      sink({ level, component, message, fields: more ? { ...fields, ...more } : fields });
  };
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (name, more) => loggerOf(sink, levels, name, more ? { ...fields, ...more } : fields),
    levels,
  };
}

const nothing = () => {};
/** Drops everything. */
export const silentLogger: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLogger,
};
