// One run: its team as a graph, its timeline, and its transcript. Live, from the server's log, or out of a file.

import { follow, json, Refused } from "./api.js";
import { detailsOf } from "./details.js";
import { count, element, seconds } from "./dom.js";
import { Graph } from "./graph.js";
import { Replay } from "./replay.js";
import { save } from "./run_file.js";
import { outcomeOf, RunLog } from "./run_log.js";
import { Timeline } from "./timeline.js";
import { Transcript } from "./transcript.js";

export class RunView {
    /** `run` is the server's run object, or that of a file. `teams` are those of /v1/teams. `earlier` are the elements of
     * earlier turns of the conversation. `onReply` is null where nobody can reply. */
    constructor(run, teams, { earlier = [], onReply, onProblem }) {
        this._run = run;
        this._teams = teams;
        this._onReply = onReply;
        this._onProblem = onProblem;
        this._earlier = earlier;
        this._events = [];
        this._frame = 0;
        this._stopper = new AbortController();
        this._state = element("span", { class: "state", role: "status" });
        this._figures = element("span", { class: "took" });
        this._stop = element("button", { type: "button", class: "stop", onclick: () => this._cancel() }, "■ Stop");
        this._save = element("button", { type: "button", hidden: true, onclick: () => save(this._run, this._events) }, "Download events");
        this._controls = element("div", { class: "controls" }, this._state, this._figures, this._stop, this._save);
        this._picture = element("div", { class: "picture" });
        this._lanes = element("div");
        this._details = element("div");
        this._scrolled = element("section", { class: "transcript-pane", "aria-label": "Transcript", tabindex: 0 });
        this._reply = element("div");
        const left = element("section", { class: "overview", "aria-label": "Overview" }, this._picture, this._lanes, this._details);
        const right = element("div", { class: "words" }, this._scrolled, this._reply);
        const question = element("h1", { class: "question" }, run.question || run.id || "A run");
        this.view = element("div", { class: "run" }, element("div", { class: "run-head" }, question, this._controls), element("div", { class: "panes" }, left, right));
        this._begin();
    }

    /** Show the run as it happens, to its end. */
    async live() {
        const shown = { signal: this._stopper.signal, onLost: (isLost) => this._lost(isLost) };
        try {
            await follow(this._run.id, (events) => this._take(events), shown);
            this._run = await json(`v1/runs/${encodeURIComponent(this._run.id)}`);
        } catch (error) {
            if (error.name !== "AbortError") this._onProblem(error instanceof Refused && error.status === 410 ? `${error.message}.` : error.message);
        }
        if (this._log.isOver) this._offerReplay();
    }

    /** Show events that are all known. */
    all(events) {
        this._take(events);
        this._offerReplay();
    }

    /** What was said in this conversation so far, on this page. */
    get spoken() {
        return [...this._earlier, element("h2", { class: "question" }, this._run.question), this._transcript.list];
    }

    close() {
        this._stopper.abort();
        this._replay?.stop();
        cancelAnimationFrame(this._frame);
    }

    _begin() {
        this._log = new RunLog();
        this._transcript = new Transcript(this._log, this._scrolled);
        this._timeline = new Timeline(this._log, (item) => this._choose(item));
        this._graph = null;
        this._lanes.replaceChildren(this._timeline.figure);
        this._scrolled.replaceChildren(...this._earlier, this._transcript.list);
        this._details.replaceChildren();
        this._schedule();
    }

    _take(events) {
        this._events.push(...events);
        this._log.add(events);
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
        const log = this._log;
        const changed = log.takeChanges();
        this._transcript.show(changed);
        this._timeline.show(changed);
        this._drawGraph();
        const reason = log.isOver ? log.finished.reason : null;
        this._state.textContent = this._isLost ? "connection lost, trying again" : log.isOver ? outcomeOf(reason) : doing(log);
        this._state.dataset.state = this._isLost ? "lost" : (reason ?? "running");
        this._figures.textContent = figures(log);
        this._stop.hidden = log.isOver || !this._run.id;
        this._drawReply();
    }

    _drawGraph() {
        const id = this._log.routing?.team ?? this._run.team ?? this._run.model;
        const team = this._teams.find((each) => each.id === id);
        if (this._graph === null || this._shownTeam !== id) {
            this._shownTeam = id;
            this._graph = new Graph(team?.shape ?? null, team?.name ?? "The team");
            this._picture.replaceChildren(this._graph.picture);
        }
        this._graph.light(this._log.speaking, this._log.agents);
    }

    _drawReply() {
        const { asks, isOver } = this._log;
        const isWanted = isOver && this._onReply !== null && this._run.conversation;
        if (!isWanted || this._isReplying) {
            if (!isWanted) this._reply.replaceChildren();
            this._isReplying = isWanted;
            return;
        }
        this._isReplying = true;
        const text = element("textarea", { rows: 2, required: true, "aria-label": asks ? "Your reply" : "Your next question", placeholder: asks ? `Reply to ${asks.agent}` : "Go on asking" });
        const send = (words) => this._onReply(this._run, words);
        const buttons = asks ? ["yes", "no"].map((word) => element("button", { type: "button", onclick: () => send(word) }, word)) : [];
        const onsubmit = (event) => {
            event.preventDefault();
            send(text.value);
        };
        this._reply.replaceChildren(element("form", { class: "reply", onsubmit }, text, element("p", { class: "buttons" }, buttons, element("button", { class: "main" }, asks ? "Reply" : "Ask"))));
        if (asks) text.focus();
    }

    _choose(item) {
        const panel = detailsOf(item, () => this._details.replaceChildren());
        this._details.replaceChildren(panel);
        panel.focus();
    }

    _offerReplay() {
        this._save.hidden = false;
        const all = [...this._events];
        if (this._replay || !all.length) return;
        this._replay = new Replay(all, (events, isNew) => {
            if (isNew) this._begin();
            this._log.add(events);
            this._schedule();
        });
        this._controls.append(this._replay.controls);
        this._schedule();
    }

    _lost(isLost) {
        this._isLost = isLost;
        this._schedule();
    }

    async _cancel() {
        this._stop.disabled = true;
        try {
            await json(`v1/runs/${encodeURIComponent(this._run.id)}/cancel`, { method: "POST", body: {} });
        } catch (error) {
            this._onProblem(error.message);
        } finally {
            this._stop.disabled = false;
        }
    }
}

const doing = (log) => log.waits || (log.speaking.size ? `${[...log.speaking].join(", ")} …` : "running …");

function figures(log) {
    const sums = [...log.usage.values()];
    const read = sums.reduce((all, { prompt }) => all + prompt, 0);
    const written = sums.reduce((all, { completion }) => all + completion, 0);
    const first = log.items.find((item) => item.kind === "message" && item.tokens)?.begin;
    const rate = log.now > 0 && log.tokens ? `${Math.round(log.tokens / log.now)} a second` : "";
    const parts = [seconds(log.now), first === undefined ? "" : `first token after ${seconds(first)}`, log.tokens ? count(log.tokens, "token") : "", rate];
    return [...parts, sums.length ? `cost: ${read.toLocaleString("en")} read, ${written.toLocaleString("en")} written` : ""].filter(Boolean).join(" · ");
}
