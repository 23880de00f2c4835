// The runs of this key: those that go on, and the finished ones as long as the server keeps them.

import { json } from "./api.js";
import { element, seconds } from "./dom.js";
import { read } from "./run_file.js";
import { outcomeOf } from "./run_log.js";

const MOST = 100;
const LOOK_EVERY_MS = 2000;

export class RunsView {
    constructor(teams, { onOpen, onFile, onProblem }) {
        this._teams = new Map(teams.map((team) => [team.id, team.name]));
        this._onOpen = onOpen;
        this._onProblem = onProblem;
        this._rows = element("tbody");
        this._empty = element("p", { hidden: true }, "There are no runs yet. ", element("a", { href: "./", "data-page": "teams" }, "Ask a team."));
        const chosen = element("input", { type: "file", accept: ".jsonl,.json,application/jsonl", onchange: () => this._open(chosen, onFile) });
        const titles = ["Question", "Team", "State", "Began", "Took", "Tokens", ""];
        const head = element("tr", null, titles.map((title) => element("th", { scope: "col" }, title || element("span", { class: "unseen" }, "Stop"))));
        this.view = element(
            "div",
            { class: "runs" },
            element("h1", null, "Runs"),
            element("label", { class: "file" }, "Open a downloaded run: ", chosen),
            element("div", { class: "wide" }, element("table", null, element("thead", null, head), this._rows)),
            this._empty,
        );
    }

    /** Look until `close`. */
    async live() {
        while (!this._isClosed) {
            if (!document.hidden) await this._look();
            await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
        }
    }

    close() {
        this._isClosed = true;
    }

    async _look() {
        try {
            const { data } = await json(`v1/runs?limit=${MOST}`);
            if (this._isClosed) return;
            const told = JSON.stringify(data);
            if (told !== this._told) this._rows.replaceChildren(...data.map((run) => this._row(run)));
            this._told = told;
            this._empty.hidden = data.length > 0;
            this._onProblem("");
        } catch (error) {
            if (!this._isClosed) this._onProblem(error.message);
        }
    }

    _row(run) {
        const open = (event) => {
            event.preventDefault();
            this._onOpen(run.id);
        };
        const link = element("a", { href: `runs/${encodeURIComponent(run.id)}`, onclick: open }, run.question || run.id);
        const isLive = run.status === "running";
        const stop = isLive ? element("button", { type: "button", class: "stop", "aria-label": `Stop: ${run.question || run.id}`, onclick: (event) => this._stop(run, event.target) }, "■") : "";
        const tokens = run.usage ? run.usage.total_tokens.toLocaleString("en") : "–";
        const state = element("span", { class: "state", "data-state": run.reason ?? "running", title: run.error?.message }, outcomeOf(run.reason));
        const began = new Date(run.created_at * 1000).toLocaleString();
        const cells = [link, this._teams.get(run.team) ?? run.team ?? run.model, state, began, run.duration_s === null ? "…" : seconds(run.duration_s), tokens, stop];
        return element("tr", null, cells.map((cell) => element("td", null, cell)));
    }

    async _stop(run, button) {
        button.disabled = true;
        try {
            await json(`v1/runs/${encodeURIComponent(run.id)}/cancel`, { method: "POST", body: {} });
        } catch (error) {
            this._onProblem(error.message);
        }
        await this._look();
    }

    async _open(input, onFile) {
        try {
            const { run, events } = read(await input.files[0].text());
            onFile(run, events);
        } catch (error) {
            this._onProblem(error.message);
        }
    }
}
