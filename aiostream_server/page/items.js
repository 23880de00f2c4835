// What a page shows of a run, as types. Times are in seconds from the run's first event; `end` is null while it goes on.

/**
 * What an agent said, or says. `says` is the kind of speech. `tokens` is 0 for a message that came whole.
 * @typedef {Object} MessageItem
 * @property {"message"} kind
 * @property {number} id
 * @property {string} agent
 * @property {number} begin
 * @property {number|null} end
 * @property {string} says
 * @property {string} text
 * @property {number} tokens
 * @property {boolean|null} approved
 */

/**
 * A tool call. `given` is the JSON of its arguments. `isClients`: the client runs the tool, and answers later.
 * @typedef {Object} CallItem
 * @property {"call"} kind
 * @property {number} id
 * @property {string} agent
 * @property {number} begin
 * @property {number|null} end
 * @property {string} tool
 * @property {string} given
 * @property {string|null} result
 * @property {boolean} isError
 * @property {string} summary
 * @property {string} answeredBy
 * @property {boolean} isClients
 */

/**
 * One line about the run.
 * @typedef {Object} RemarkItem
 * @property {"remark"} kind
 * @property {number} id
 * @property {string} agent
 * @property {number} begin
 * @property {number} end
 * @property {"routing"|"notice"|"error"|"question"} what
 * @property {string} text
 */

/**
 * A call of a model. `usage` is null while it goes on, and of a call that was broken off.
 * @typedef {Object} ModelCall
 * @property {"model"} kind
 * @property {number} id
 * @property {string} agent
 * @property {number} begin
 * @property {number|null} end
 * @property {string} model
 * @property {import("./events.js").UsageEvent|null} usage
 */

/** @typedef {MessageItem|CallItem|RemarkItem} Item */
/** @typedef {MessageItem|CallItem|ModelCall} Bar */

export {};
