// The pictures of a run. Those that this server keeps are asked for with the page's key: the links in a text expire, and
// a downloaded run brings its pictures along. All others are links.

import { addressOf, request } from "./api.js";
import { element } from "./dom.js";

const OWN = /\/v1\/files\/(file-[\w-]{24})$/;
const SHOWN = /^image\/(?:png|jpeg|gif|webp|svg\+xml)$/;
const MOST_BYTES = 8 * 1024 * 1024;
const MOST_KEPT = 50;

/** @type {Map<string, Promise<Blob>>} By file id: those of the server that were shown last. */
const kept = new Map();
/** @type {Map<string, Blob>} By file id: those of the file that is shown. They stand for nothing in other runs. */
let brought = new Map();

/**
 * @param {URL} address
 * @param {string} text
 */
export function pictureOf(address, text) {
    const id = OWN.exec(address.pathname)?.[1];
    const words = element("span", null, `picture: ${text}`);
    const link = element("a", { href: address.href, target: "_blank", rel: "noopener noreferrer nofollow" }, words);
    if (id) void show(id, address, text, link);
    return link;
}

/**
 * @param {string} id
 * @param {URL} address
 * @param {string} text
 * @param {HTMLElement} into
 */
async function show(id, address, text, into) {
    const blob = await blobOf(id, address).catch(() => null);
    if (blob === null) return;
    const source = URL.createObjectURL(blob);
    const shown = element("img", { src: source, alt: text });
    await shown.decode().catch(() => {});
    URL.revokeObjectURL(source);
    if (shown.naturalWidth) into.replaceChildren(shown);
}

/**
 * The picture with this id: as the caller's own, else by its signed link.
 * @param {string} id
 * @param {URL} address
 */
function blobOf(id, address) {
    const own = brought.get(id);
    if (own !== undefined) return Promise.resolve(own);
    const known = kept.get(id);
    if (known !== undefined) return known;
    const path = `v1/files/${id}`;
    const found = asked(path).catch(() => asked(path + address.search));
    kept.set(id, found);
    for (const oldest of kept.keys()) if (kept.size > MOST_KEPT) kept.delete(oldest);
    found.catch(() => kept.delete(id));
    return found;
}

/** @param {string} path */
async function asked(path) {
    const blob = await (await request(path)).blob();
    if (!SHOWN.test(blob.type) || blob.size > MOST_BYTES) throw new Error(`${addressOf(path)} is no picture`);
    return blob;
}

/**
 * The pictures that a text links to, by file id.
 * @param {string} text
 * @returns {Promise<[string, Blob][]>}
 */
export async function picturesIn(text) {
    const found = text.matchAll(/https?:\/\/[^\s()<>"]{1,300}\/v1\/files\/(file-[\w-]{24})(?:\?[\w=&-]{1,200})?/g);
    const addresses = new Map([...found].map(([address, id]) => [id, new URL(address)]));
    const blobs = [...addresses].map(async ([id, address]) => /** @type {[string, Blob|null]} */ ([id, await blobOf(id, address).catch(() => null)]));
    return /** @type {[string, Blob][]} */ ((await Promise.all(blobs)).filter(([, blob]) => blob !== null));
}

/**
 * The pictures that a file of a run brings along, by file id; none for a run of the server.
 * @param {Map<string, Blob>} pictures
 */
export function bring(pictures) {
    brought = new Map([...pictures].filter(([, blob]) => SHOWN.test(blob.type) && blob.size <= MOST_BYTES));
}
