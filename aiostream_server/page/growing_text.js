// A Markdown text that grows. Finished blocks stay as they are, and of a long block its finished part, so that the work
// of a frame does not grow with the text.

import { element } from "./dom.js";
import { blocksOf, codeNodes, nodesOf, row } from "./markdown.js";

/** @typedef {import("./libraries/marked.js").MarkedToken} Token */
/**
 * A block that goes on behind its finished part. `prefix` is what its rest is read with: the head of a table, the fence of
 * code. `into` takes the rest, after `glue`.
 * @typedef {{prefix: string, into: Element, glue: string}} Going
 */

const AT_ONCE_CHARS = 4000; // some texts cost marked time that grows with the square of their length
const LONG_CHARS = 2000;
const MOST_CHARS = 100000;

export class GrowingText {
    /** @param {HTMLElement} into */
    constructor(into) {
        this._into = into;
        this._shown = 0;
        /** @type {ChildNode[]} The nodes of the last block, which may change. */
        this._last = [];
        /** @type {Going|null} */
        this._going = null;
    }

    /**
     * Show the text, or more of it. Returns whether this was all: else call it again.
     * @param {string} text What it was before, and perhaps more.
     */
    show(text) {
        for (const node of this._last) node.remove();
        this._last = [];
        if (this._shown >= MOST_CHARS && text.length > this._shown) return this._cut(text);
        const piece = text.slice(this._shown, this._shown + AT_ONCE_CHARS);
        const isAll = this._shown + piece.length === text.length;
        const last = this._finishBlocks(piece.replaceAll("\r\n", " \n")); // as long as before: places are counted in it
        if (last === null) {
            if (!isAll) this._shown += piece.length;
            return isAll;
        }
        const own = last.raw.length - (this._going?.prefix.length ?? 0);
        if (isAll && own <= LONG_CHARS) {
            this._last = this._append(last);
            return true;
        }
        this._finishPart(last.raw, own);
        return false;
    }

    /**
     * Show all blocks but the last one, and return that.
     * @param {string} piece
     */
    _finishBlocks(piece) {
        const blocks = blocksOf((this._going?.prefix ?? "") + piece);
        const last = blocks.findLastIndex((block) => block.type !== "space");
        for (const block of blocks.slice(0, Math.max(last, 0))) {
            this._shown += block.raw.length - (this._going?.prefix.length ?? 0);
            this._append(block);
            this._going = null;
        }
        return last < 0 ? null : blocks[last];
    }

    /**
     * Show the block as far as its last line end, else its last space.
     * @param {string} raw
     * @param {number} own How much of its end was not shown before.
     */
    _finishPart(raw, own) {
        const from = raw.length - own;
        const end = [raw.lastIndexOf("\n") + 1, raw.lastIndexOf(" ") + 1].find((each) => each > from) ?? raw.length;
        const part = raw.slice(0, end);
        const block = blocksOf(part).find((each) => each.type !== "space");
        if (block !== undefined) {
            const nodes = this._append(block);
            if (this._going === null) this._going = goingOf(block, nodes[0]);
            else if (block.type === "paragraph") this._going.glue = glueOf(part);
        }
        this._shown += end - from;
    }

    /**
     * @param {Token} block
     * @returns {ChildNode[]}
     */
    _append(block) {
        const going = this._going;
        const nodes = going === null ? nodesOf([block]) : nodesWithin(block, going.glue);
        (going !== null && isGoing(block) ? going.into : this._into).append(...nodes);
        return /** @type {ChildNode[]} */ (nodes);
    }

    /** @param {string} text */
    _cut(text) {
        const more = (text.length - this._shown).toLocaleString("en");
        const told = element("p", { class: "cut" }, `… ${more} more characters are not shown. The downloaded events have them.`);
        this._into.append(told);
        this._last = [told];
        return true;
    }
}

/** @param {Token} block */
const isGoing = (block) => block.type === "table" || block.type === "code" || block.type === "paragraph";

/**
 * The nodes of a block of which the beginning is shown already: rows of a table, more code, more words.
 * @param {Token} block
 * @param {string} glue
 * @returns {Node[]}
 */
function nodesWithin(block, glue) {
    if (block.type === "table") return block.rows.map((cells) => row(cells, "td"));
    if (block.type === "code") return [element("span", null, block.text && glue, codeNodes(block.text, block.lang))];
    if (block.type === "paragraph") return [document.createTextNode(glue), ...nodesOf(/** @type {Token[]} */ (block.tokens))];
    return nodesOf([block]);
}

/** @param {string} part */
const glueOf = (part) => (/\s$/.test(part) ? " " : "");

/**
 * How a block goes on that is shown in part, if it can.
 * @param {Token} block
 * @param {Node|undefined} shown
 * @returns {Going|null}
 */
function goingOf(block, shown) {
    if (!(shown instanceof Element)) return null;
    if (block.type === "paragraph") return { prefix: "", into: shown, glue: glueOf(block.raw) };
    const prefix = { table: /^[^\n]*\n[^\n]*\n/, code: /^ {0,3}(?:`{3,}|~{3,})[^\n]*\n/ }[/** @type {"table"} */ (block.type)]?.exec(block.raw)?.[0];
    const into = shown.querySelector("tbody, code");
    return prefix && into ? { prefix, into, glue: "\n" } : null;
}
