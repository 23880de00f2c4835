// The events of a run that is over, shown again: at the pace at which they came, faster, or at once.

import { element, seconds } from "./dom.js";

const SPEEDS = [1, 2, 5, 20];
const EARLIEST = 0.05;

/** `onShow(events, isNew)` is given what is to be shown; with `isNew`, from the beginning. */
export class Replay {
    constructor(events, onShow) {
        this._events = events;
        this._begin = Date.parse(events[0].timestamp) / 1000;
        this._long = Math.max(Date.parse(events.at(-1).timestamp) / 1000 - this._begin, EARLIEST);
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
        const step = (now) => {
            this._go(this._at + ((now - before) / 1000) * Number(this._speed.value));
            before = now;
            if (this._at >= this._long) this.stop();
            else this._frame = requestAnimationFrame(step);
        };
        this._frame = requestAnimationFrame(step);
    }

    _go(at) {
        const isBack = at < this._at;
        this._at = Math.min(at, this._long);
        if (isBack) this._shown = 0;
        const from = this._shown;
        while (this._shown < this._events.length && Date.parse(this._events[this._shown].timestamp) / 1000 - this._begin <= this._at) this._shown += 1;
        if (this._at >= this._long) this._shown = this._events.length;
        this._onShow(this._events.slice(from, this._shown), isBack);
        this._tell();
    }

    _tell() {
        this._place.value = Math.round((1000 * this._at) / this._long);
        this._clock.textContent = `${seconds(this._at)} of ${seconds(this._long)}`;
    }
}
