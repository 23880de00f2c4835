// Elements, made one by one: nothing on this page is ever parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes, listeners (`onclick`) and children: nodes and texts; null and false are left out. */
export const element = (name, attributes, ...children) => filled(document.createElement(name), attributes, children);

export const drawn = (name, attributes, ...children) => filled(document.createElementNS(SVG, name), attributes, children);

function filled(made, attributes, children) {
    for (const [name, value] of Object.entries(attributes ?? {})) {
        if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
        else if (value === true) made.setAttribute(name, "");
        else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
    }
    made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return made;
}

/** A colour of the page's palette for the agent at `index`: a class of style.css. */
export const colourOf = (index) => `colour-${index < 0 ? "none" : index % 8}`;

export function seconds(value) {
    if (value === null || value === undefined) return "–";
    if (value < 1) return `${Math.round(value * 1000)} ms`;
    return value < 60 ? `${value.toFixed(1)} s` : `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

export function bytes(value) {
    if (value === null || value === undefined) return "–";
    return value < 10000 ? `${value.toLocaleString("en")} bytes` : `${Math.round(value / 1000).toLocaleString("en")} kB`;
}

export const count = (value, noun) => `${value.toLocaleString("en")} ${noun}${value === 1 ? "" : "s"}`;
