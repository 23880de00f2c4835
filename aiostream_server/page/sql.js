// SQL with its keywords, texts, numbers and comments marked.

import { element } from "./dom.js";

const PIECES = /(?<comment>--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|(?<text>'(?:[^']|'')*'?|"(?:[^"]|"")*"?)|(?<number>\b\d+(?:\.\d+)?\b)|(?<word>[A-Za-z_]\w*)|[\s\S]/g;
const KEYWORDS = new Set(
    (
        "all and any as asc between by case cast cross current date desc distinct else end except exists extract false fetch filter first " +
        "following for from full group having ilike in inner intersect interval into is join last lateral left like limit natural not null " +
        "nulls offset on or order outer over partition preceding range recursive right row rows select similar some table then true unbounded " +
        "union unnest using values when where window with within"
    ).split(" "),
);

/**
 * Texts and spans, in order.
 * @param {string} sql
 */
export function highlighted(sql) {
    /** @type {(string|HTMLElement)[]} */
    const nodes = [];
    let rest = "";
    for (const { 0: piece, groups = {} } of sql.matchAll(PIECES)) {
        const kind = groups.comment ? "comment" : groups.text ? "text" : groups.number ? "number" : isKeyword(groups.word) ? "keyword" : "";
        if (kind) {
            nodes.push(rest, element("span", { class: `sql-${kind}` }, piece));
            rest = "";
        } else {
            rest += piece;
        }
    }
    return [...nodes, rest].filter((node) => node !== "");
}

/** @param {string|undefined} word */
const isKeyword = (word) => word !== undefined && KEYWORDS.has(word.toLowerCase());
