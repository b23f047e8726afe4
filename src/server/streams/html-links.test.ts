import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { rewriteLinks } from './html-links.ts';

/** The page, cut at these places, with `/p` before every link to the root. */
async function rewritten(page: string, cuts: readonly number[] = []): Promise<string> {
  const bytes = new TextEncoder().encode(page);
  async function* pieces() {
    let from = 0;
    for (const at of [...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
      yield bytes.subarray(from, at);
      from = at;
    }
  }
  const out: Uint8Array[] = [];
  for await (const chunk of rewriteLinks(pieces(), (url) => (url.startsWith('/') ? `/p${url}` : url))) out.push(chunk);
  return new TextDecoder().decode(Buffer.concat(out));
}

const PAGE = `<!DOCTYPE html><html><HEAD><title>a <a href="/no"></title>
<link rel=stylesheet href=/style.css><script src="/x.js" async>if (a<b) w('<a href="/no">')</SCRIPT >
<!-- <a href="/no"> --></head><body background='/b.png' data-href="/no">Grüße 1 < 2
<A class="a>b" HREF = "/one?x=1&amp;y">x</A><a href="two" title='<img src="/no">'>y</a><img src='/three' alt="">
<a href="https://example.com/">z</a><form action=/four/ method=post></form><br/></body></html>`;

const WANTED = PAGE.replace('href=/style', 'href=/p/style')
  .replace('"/x.js"', '"/p/x.js"')
  .replace("'/b.png'", "'/p/b.png'")
  .replace('"/one', '"/p/one')
  .replace("'/three'", "'/p/three'")
  .replace('=/four/', '=/p/four/');

test('links to the root lead through the proxy, everything else is as it was, however the page is cut', async () => {
  expect(await rewritten(PAGE)).toBe(WANTED);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(2000), { maxLength: 30 }), async (cuts) => {
      expect(await rewritten(PAGE, cuts)).toBe(WANTED);
    }),
    { numRuns: 100 },
  );
});

test('what ends in the middle is passed on', async () => {
  for (const page of ['', '<', '<a href="/x', '<!-', '<!-- x', '<script>a</scr', 'text', '<3 </ <>']) {
    expect(await rewritten(page, [1, 3])).toBe(page);
  }
});

test('a tag without end is no reason to hold the page back', async () => {
  const page = `<a title="${'x'.repeat(100_000)}`;
  expect(await rewritten(page, [50_000, 80_000])).toBe(page);
});
