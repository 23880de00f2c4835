// Keeps the end of a growing text in sight, unless its reader has scrolled away from it.

import { element } from "./dom.js";

const NEAR_THE_END_PX = 60;

export class EndFollower {
    /** @param {HTMLElement} pane The element that scrolls; `content` is what it shows. */
    constructor(pane) {
        this.content = element("div");
        pane.append(this.content);
        let follows = true;
        // Both are called when the browser has just laid out the page: to ask for sizes costs nothing then.
        const observer = new ResizeObserver(() => {
            if (follows) pane.scrollTop = pane.scrollHeight;
        });
        observer.observe(this.content);
        observer.observe(pane);
        const look = () => {
            follows = pane.scrollHeight - pane.scrollTop - pane.clientHeight < NEAR_THE_END_PX;
        };
        pane.addEventListener("scroll", look, { passive: true });
    }
}
