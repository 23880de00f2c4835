// One run: its team as a graph, its timeline, and its transcript. Live, from the server's log, or out of a file.

import { cancel, isAbort, json, messageOf, pathOf } from "./api.js";
import { detailsOf } from "./details.js";
import { element, tell } from "./dom.js";
import { EndFollower } from "./end_follower.js";
import { doing, figures } from "./figures.js";
import { follow } from "./follow.js";
import { Graph } from "./graph.js";
import { Replay } from "./replay.js";
import { replyForm } from "./reply_form.js";
import { save } from "./run_file.js";
import { outcomeOf, RunLog } from "./run_log.js";
import { Timeline } from "./timeline.js";
import { Transcript } from "./transcript.js";

/** @typedef {import("./events.js").RunEvent} RunEvent */
/** @typedef {import("./events.js").RunObject} RunObject */
/** @typedef {import("./events.js").TeamObject} Team */

const TICK_MS = 100;
const OVERVIEW_MS = 90;
const QUESTION_CHARS = 2000;

/**
 * @typedef {Object} Options
 * @property {Node[]} [earlier] The elements of earlier turns of the conversation.
 * @property {((run: RunObject, words: string) => void)|null} onReply Null where no reply is possible.
 * @property {(text: string) => void} onProblem
 */

export class RunView {
    /**
     * @param {RunObject} run The server's, or that of a file.
     * @param {Team[]} teams
     * @param {Options} options
     */
    constructor(run, teams, { earlier = [], onReply, onProblem }) {
        this._run = run;
        this._teams = teams;
        this._onReply = onReply;
        this._onProblem = onProblem;
        this._earlier = earlier;
        /** @type {RunEvent[]} */
        this._events = [];
        this._frame = 0;
        this._timer = 0;
        this._isLost = false;
        this._isReplying = false;
        /** @type {Graph|null} */
        this._graph = null;
        this._shownTeam = "";
        this._clockAheadMs = 0;
        this._heardAt = 0;
        /** @type {Set<import("./items.js").Item|import("./items.js").ModelCall>} */
        this._undrawn = new Set();
        this._drawnAt = 0;
        /** @type {Replay|null} */
        this._replay = null;
        /** @type {number|null} The place that a replay shows. */
        this._at = null;
        this._stopper = new AbortController();
        this._state = element("span", { class: "state", role: "status" });
        this._figures = element("span", { class: "took" });
        this._stop = element("button", { type: "button", class: "stop", onclick: () => this._cancel() }, "■ Stop");
        this._save = element("button", { type: "button", hidden: true, onclick: () => this._download() }, "Download events");
        this._controls = element("div", { class: "controls" }, this._state, this._figures, this._stop, this._save);
        this._picture = element("div");
        this._lanes = element("div");
        this._details = element("div");
        this._scrolled = element("section", { class: "transcript-pane", "aria-label": "Transcript", tabindex: 0 });
        this._words = new EndFollower(this._scrolled).content;
        this._reply = element("div");
        const left = element("section", { class: "overview", "aria-label": "Overview" }, this._picture, this._lanes, this._details);
        const right = element("div", { class: "words" }, this._scrolled, this._reply);
        this.view = element("div", { class: "run" }, element("div", { class: "run-head" }, this._title("h1"), this._controls), element("div", { class: "panes" }, left, right));
        this._log = new RunLog();
        this._transcript = new Transcript(this._log);
        this._timeline = new Timeline(this._log, (item) => this._choose(item));
        this._begin();
    }

    /** Show the run as it happens, to its end. */
    async live() {
        this._timer = setInterval(() => this._schedule(), TICK_MS);
        try {
            await follow(this._run, (events) => this._take(events), {
                signal: this._stopper.signal,
                onLost: (isLost) => this._lost(isLost),
                onClock: (unixMs) => (this._clockAheadMs = (unixMs || Date.now()) - Date.now()),
            });
            this._run = await json(pathOf(this._run.id));
        } catch (error) {
            if (!isAbort(error)) this._onProblem(messageOf(error));
        } finally {
            clearInterval(this._timer);
        }
        if (this._log.isOver) this._offerReplay();
    }

    /**
     * Show events that are all known.
     * @param {RunEvent[]} events
     */
    all(events) {
        this._take(events);
        this._offerReplay();
    }

    /** What was said in this conversation so far, on this page. */
    get spoken() {
        return [...this._earlier, this._title("h2"), this._transcript.list];
    }

    close() {
        this._stopper.abort();
        this._replay?.stop();
        clearInterval(this._timer);
        cancelAnimationFrame(this._frame);
    }

    /** @param {"h1"|"h2"} level */
    _title(level) {
        return element(level, { class: "question" }, (this._run.question || this._run.id || "A run").slice(0, QUESTION_CHARS));
    }

    _begin() {
        this._log = new RunLog();
        this._transcript = new Transcript(this._log);
        this._timeline = new Timeline(this._log, (item) => this._choose(item));
        this._graph = null;
        this._undrawn.clear();
        this._drawnAt = 0;
        this._lanes.replaceChildren(this._timeline.figure);
        this._words.replaceChildren(...this._earlier, this._transcript.list);
        this._details.replaceChildren();
        this._schedule();
    }

    /** @param {RunEvent[]} events */
    _take(events) {
        for (const event of events) this._events.push(event);
        this._log.add(events);
        this._heardAt = Date.now();
        this._schedule();
    }

    /** Draw once for each frame, whatever came meanwhile. */
    _schedule() {
        this._frame ||= requestAnimationFrame(() => {
            this._frame = 0;
            this._draw();
        });
    }

    _draw() {
        const changed = this._log.takeChanges();
        for (const each of changed) this._undrawn.add(each);
        const isDue = this._log.isOver || performance.now() - this._drawnAt >= OVERVIEW_MS;
        if (isDue) this._drawOverview();
        const isAll = this._transcript.show(changed.filter((each) => each.kind !== "model"));
        if (!isAll || !isDue) this._schedule();
    }

    /** All but the transcript changes little from frame to frame, and costs more. */
    _drawOverview() {
        const log = this._log;
        this._drawnAt = performance.now();
        this._timeline.show([...this._undrawn], this._now());
        this._undrawn.clear();
        this._drawGraph();
        const reason = log.finished?.reason ?? null;
        tell(this._state, this._isLost ? "connection lost, trying again" : !log.isOver ? doing(log) : log.asks ? "waits for your reply" : outcomeOf(reason));
        this._state.classList.toggle("asks", log.isOver && log.asks !== null);
        this._state.dataset.state = this._isLost ? "lost" : (reason ?? "running");
        tell(this._figures, figures(log, this._now()));
        this._stop.hidden = log.isOver || !this._run.id || this._replay !== null;
        this._drawReply();
    }

    /** In seconds from the run's beginning. Between the events of a live run the clock goes on. */
    _now() {
        const { now, started, isOver } = this._log;
        if (this._at !== null) return Math.max(this._at, now);
        if (isOver || started === null || this._isLost || this._stopper.signal.aborted) return now;
        const sinceHeard = now + (Date.now() - this._heardAt) / 1000;
        return Math.max(sinceHeard, (Date.now() + this._clockAheadMs) / 1000 - started);
    }

    _drawGraph() {
        const id = this._log.routing?.team ?? this._run.team ?? this._run.model;
        const team = this._teams.find((each) => each.id === id);
        if (!this._graph || this._shownTeam !== id) {
            this._shownTeam = id;
            this._graph = new Graph(/** @type {import("./shape.js").Shape|null} */ (team?.shape ?? null), team?.name ?? "The team");
            this._picture.replaceChildren(this._graph.picture);
        }
        this._graph.light(this._log.speaking, this._log.agents, this._log.answered);
    }

    _drawReply() {
        const { asks, isOver, finished } = this._log;
        const isWanted = isOver && this._at === null && this._onReply !== null && Boolean(this._run.conversation) && finished?.reason !== "tool_calls";
        if (isWanted === this._isReplying) return;
        this._isReplying = isWanted;
        this._reply.replaceChildren(...(isWanted ? [replyForm(asks, (words) => this._onReply?.(this._run, words))] : []));
        if (isWanted && asks) this._reply.querySelector("textarea")?.focus();
    }

    /** @param {import("./items.js").Bar} item */
    _choose(item) {
        const from = document.activeElement;
        const close = () => {
            this._details.replaceChildren();
            if (from instanceof SVGElement) from.focus();
        };
        const panel = detailsOf(item, close);
        this._details.replaceChildren(panel);
        panel.focus();
    }

    _offerReplay() {
        this._save.hidden = false;
        if (this._replay || !this._events.length) return;
        this._replay = new Replay([...this._events], (events, at, isNew) => {
            if (isNew) this._begin();
            this._at = at;
            this._log.add(events);
            if (this._log.isOver) this._at = null;
            this._schedule();
        });
        this._controls.append(this._replay.controls);
        this._schedule();
    }

    /** @param {boolean} isLost */
    _lost(isLost) {
        this._isLost = isLost;
        this._schedule();
    }

    async _download() {
        this._save.disabled = true;
        await save(this._run, this._events);
        this._save.disabled = false;
    }

    async _cancel() {
        this._stop.disabled = true;
        try {
            await cancel(this._run.id);
        } catch (error) {
            this._onProblem(messageOf(error));
        } finally {
            this._stop.disabled = false;
        }
    }
}
