// The events of a run that is over, shown again: at the pace at which they came, faster, or at once.

import { element } from "./dom.js";
import { seconds } from "./words.js";

/** @typedef {import("./events.js").RunEvent} RunEvent */

const SPEEDS = [1, 2, 5, 20];
const EARLIEST = 0.05;

export class Replay {
    /**
     * @param {RunEvent[]} events At least one.
     * @param {(events: RunEvent[], at: number, isNew: boolean) => void} onShow Gets what is to be shown, and the place
     *     in the run in seconds; with `isNew`, from the beginning.
     */
    constructor(events, onShow) {
        this._events = events;
        this._begin = timeOf(events[0]);
        this._long = Math.max(...[events[0], events[events.length - 1]].map((event) => timeOf(event) - this._begin), EARLIEST);
        this._onShow = onShow;
        this._shown = events.length;
        this._at = this._long;
        this._frame = 0;
        this._play = element("button", { type: "button", onclick: () => this._toggle() }, "▶ Replay");
        this._speed = element("select", { "aria-label": "Speed of the replay" }, SPEEDS.map((speed) => element("option", { value: speed }, `${speed} ×`)));
        this._place = element("input", {
            type: "range",
            min: 0,
            max: 1000,
            value: 1000,
            "aria-label": "Place in the run",
            oninput: () => this._go((this._long * Number(this._place.value)) / 1000),
        });
        this._clock = element("span", { class: "took" });
        this.controls = element("div", { class: "replay", role: "group", "aria-label": "Replay" }, this._play, this._speed, this._place, this._clock);
        this._tell();
    }

    stop() {
        cancelAnimationFrame(this._frame);
        this._frame = 0;
        this._play.textContent = "▶ Replay";
    }

    _toggle() {
        if (this._frame) {
            this.stop();
            return;
        }
        if (this._at >= this._long) this._go(0);
        this._play.textContent = "⏸ Pause";
        let before = performance.now();
        /** @param {number} now */
        const step = (now) => {
            this._go(this._at + ((now - before) / 1000) * Number(this._speed.value));
            before = now;
            if (this._at >= this._long) this.stop();
            else this._frame = requestAnimationFrame(step);
        };
        this._frame = requestAnimationFrame(step);
    }

    /** @param {number} at */
    _go(at) {
        const isBack = at < this._at;
        this._at = Math.min(at, this._long);
        if (isBack) this._shown = 0;
        const from = this._shown;
        while (this._shown < this._events.length && timeOf(this._events[this._shown]) - this._begin <= this._at) this._shown += 1;
        if (this._at >= this._long) this._shown = this._events.length;
        this._onShow(this._events.slice(from, this._shown), this._at, isBack);
        this._tell();
    }

    _tell() {
        const at = seconds(this._at);
        this._place.value = String(Math.round((1000 * this._at) / this._long));
        this._place.setAttribute("aria-valuetext", at);
        this._clock.textContent = `${at} of ${seconds(this._long)}`;
    }
}

/** @param {RunEvent} event */
const timeOf = (event) => Date.parse(event.timestamp) / 1000;
