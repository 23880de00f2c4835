// Elements, made one by one: nothing on this page is ever parsed as HTML.

/** @typedef {Node|string|null|undefined|false} Child */
/** @typedef {Record<string, unknown>|null} Attributes */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element with attributes, listeners (`onclick`) and children: nodes and texts; null and false are left out.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Attributes} [attributes]
 * @param {...(Child|Child[])} children
 */
export const element = (name, attributes, ...children) => filled(document.createElement(name), attributes, children);

/**
 * The same for an element of SVG.
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} name
 * @param {Attributes} [attributes]
 * @param {...(Child|Child[])} children
 * @returns {SVGElementTagNameMap[K]}
 */
export const drawn = (name, attributes, ...children) => filled(document.createElementNS(SVG, name), attributes, children);

/**
 * @template {Element} T
 * @param {T} made
 * @param {Attributes|undefined} attributes
 * @param {(Child|Child[])[]} children
 */
function filled(made, attributes, children) {
    for (const [name, value] of Object.entries(attributes ?? {})) {
        if (typeof value === "function") made.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
        else if (value === true) made.setAttribute(name, "");
        else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, String(value));
    }
    for (const child of children.flat()) if (child || child === "") made.append(child);
    return made;
}

/**
 * The element with this id, which index.html has.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 */
export function byId(id, kind) {
    const found = document.getElementById(id);
    if (!(found instanceof kind)) throw new Error(`index.html has no #${id}`);
    return found;
}

/**
 * Change a text only where it differs: a screen reader reads a changed status again.
 * @param {Element} shown
 * @param {string} text
 */
export function tell(shown, text) {
    if (shown.textContent !== text) shown.textContent = text;
}

/**
 * A colour of the page's palette for the agent at `index`: a class of style.css.
 * @param {number} index
 */
export const colourOf = (index) => `colour-${index < 0 ? "none" : index % 8}`;
