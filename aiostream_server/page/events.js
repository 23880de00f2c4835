// Made by scripts/dev/page-types of the events' own classes: do not edit.

/**
 * Tokens that model calls read and wrote, as the providers reported them (or counted, where they did not).
 * @typedef {Object} TokenCount
 * @property {number} [prompt_tokens]
 * @property {number} [completion_tokens]
 */

/**
 * Every key is always there, and a value that is not known (yet) is null; only `watch_url` is left out where the
 * server does not know its own address.
 * @typedef {Object} RunObject
 * @property {string|null} conversation
 * @property {number} created_at
 * @property {number|null} duration_s
 * @property {RunError|null} error
 * @property {string} events_url
 * @property {string} id
 * @property {number} last_seq
 * @property {string} model
 * @property {"run"} object
 * @property {"cancel"|"continue"} on_disconnect
 * @property {string} question
 * @property {"cancelled"|"content_filter"|"error"|"interrupted"|"length"|"refusal"|"stop"|"tool_calls"|null} reason
 * @property {"finished"|"running"} status
 * @property {string|null} team
 * @property {UsageBody|null} usage
 * @property {string} [watch_url]
 */

/**
 * @typedef {Object} RunError
 * @property {string} code
 * @property {string} message
 */

/**
 * @typedef {Object} UsageBody
 * @property {number} completion_tokens
 * @property {number} prompt_tokens
 * @property {number} total_tokens
 */

/**
 * A team that the key may use. `shape` is that of `aiostream-server teams show ID --json`: an agent (`name`,
 * `kind`, `model`, `tools`, `is_person`, `inside`), or a group of `members` with the `edges` between them, the
 * `order` in which they speak, and perhaps a `manager` who chooses. It is null where the team cannot be built.
 * @typedef {Object} TeamObject
 * @property {string} description
 * @property {string[]} examples
 * @property {string} id
 * @property {string} name
 * @property {"team"} object
 * @property {Record<string, any>|null} shape
 */

/**
 * The run was admitted. `model` is the model id in the request; `Routing` says which team answers.
 * @typedef {Object} RunStartedEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"run_started"} type
 * @property {string} model
 */

/**
 * The run waits: for a free place (`queue`), for the earlier questions of its conversation (`turn`), or to ask a
 * model again that did not answer (`model`). `content` says it in one line. `position` counts down to 1 in a
 * queue or a turn, and is 0 once that wait is over; None where it is not known. `retry_in_s` are the seconds
 * until the model is asked again.
 * @typedef {Object} WaitingEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"waiting"} type
 * @property {string} content
 * @property {"queue"|"turn"|"model"} reason
 * @property {number|null} position
 * @property {number|null} retry_in_s
 * @property {true} [truncated]
 */

/**
 * The team that the question goes to. `team` and `confidence` (0 to 1) are None until it is chosen.
 * @typedef {Object} RoutingEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"routing"} type
 * @property {string} agent
 * @property {string} content
 * @property {string|null} team
 * @property {string|null} team_name
 * @property {number|null} confidence
 * @property {"rules"|"model"|"fallback"|null} strategy
 * @property {true} [truncated]
 */

/**
 * An agent's reasoning, or its words before a tool call.
 * @typedef {Object} ThinkingEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"thinking"} type
 * @property {string} agent
 * @property {string} content
 * @property {boolean} streamed
 * @property {true} [truncated]
 */

/**
 * Text to append to the arguments of a tool call that `agent` is writing; never empty. There are none if the
 * arguments come whole. An `Action` with the same `call_id` repeats all of them, made regular; or, of a call
 * `for_client` (of one of its own tools), a `ToolRequested`. After a call that is broken off there is neither.
 * @typedef {Object} ActionTokenEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"action_token"} type
 * @property {string} agent
 * @property {string} tool
 * @property {string} content
 * @property {string} call_id
 * @property {boolean} for_client
 * @property {true} [truncated]
 */

/**
 * A tool is called. `arguments` is the JSON text as the model wrote it; if `truncated`, its beginning.
 * @typedef {Object} ActionEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"action"} type
 * @property {string} agent
 * @property {string} tool
 * @property {string} arguments
 * @property {string} call_id
 * @property {boolean} truncated
 */

/**
 * The result of a tool call. `summary` is the result in a few words ("4 rows"), or empty.
 * @typedef {Object} ToolResultEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"tool_result"} type
 * @property {string} agent
 * @property {string} tool
 * @property {string} content
 * @property {string} call_id
 * @property {boolean} is_error
 * @property {boolean} truncated
 * @property {string} summary
 */

/**
 * A verdict. `approved` is None where it stands in the words only.
 * @typedef {Object} ValidationEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"validation"} type
 * @property {string} agent
 * @property {string} content
 * @property {boolean|null} approved
 * @property {boolean} streamed
 * @property {true} [truncated]
 */

/**
 * An agent's reading of results.
 * @typedef {Object} AnalysisEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"analysis"} type
 * @property {string} agent
 * @property {string} content
 * @property {boolean} streamed
 * @property {true} [truncated]
 */

/**
 * Anything else an agent says.
 * @typedef {Object} MessageEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"message"} type
 * @property {string} agent
 * @property {string} content
 * @property {boolean} streamed
 * @property {true} [truncated]
 */

/**
 * Text to append to the message of `kind` that `agent` is saying; never empty.
 * @typedef {Object} TokenEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"token"} type
 * @property {string} agent
 * @property {string} content
 * @property {"thinking"|"validation"|"analysis"|"message"|"final"} kind
 * @property {true} [truncated]
 */

/**
 * A model call of the agent begins. `model` is the provider's name for it. A `Usage` of the agent tells its end;
 * a call that is cancelled before its answer has none.
 * @typedef {Object} ModelCalledEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"model_called"} type
 * @property {string} agent
 * @property {string} model
 */

/**
 * The tokens of one model call, and how it went. `model` is the provider's name for it. Times are in seconds,
 * from the call's beginning to the first piece of its answer and to its end. Sizes are in bytes, of what was
 * sent to the provider and read from it. `error` is the code of a call that failed. Each is empty or None where
 * it is not known: of a model client that is not this server's.
 * @typedef {Object} UsageEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"usage"} type
 * @property {string} agent
 * @property {number} prompt_tokens
 * @property {number} completion_tokens
 * @property {string} model
 * @property {number|null} duration_s
 * @property {number|null} first_token_s
 * @property {number|null} request_bytes
 * @property {number|null} answer_bytes
 * @property {string|null} error
 */

/**
 * The run's answer, once, before `InputRequested` and `RunFinished`. A failed or cancelled run may have none.
 * Where a request forces a call of one of its own tools, `tool` is its name, and `content` the JSON of its
 * arguments.
 * @typedef {Object} FinalEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"final"} type
 * @property {string} agent
 * @property {string} content
 * @property {boolean} streamed
 * @property {string} tool
 * @property {true} [truncated]
 */

/**
 * The team waits for the user. `agent` asks `content`, which an earlier message has shown. The next question of
 * the same conversation is the reply, and the team resumes. `is_approval`: a yes or a no is enough.
 * @typedef {Object} InputRequestedEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"input_requested"} type
 * @property {string} agent
 * @property {string} content
 * @property {boolean} is_approval
 * @property {true} [truncated]
 */

/**
 * The team waits for the client to run one of its own tools. Such events, one for each call, come right before a
 * `RunFinished` with the reason `tool_calls`; such a run has no `Answer`. `arguments` is the JSON text as the
 * model wrote it. The next question brings the results, each with the `call_id` of its call, and the team
 * resumes.
 * @typedef {Object} ToolRequestedEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"tool_requested"} type
 * @property {string} agent
 * @property {string} tool
 * @property {string} arguments
 * @property {string} call_id
 */

/**
 * How something ended, where nothing else shows it: the answer of `agent` was cut off (`length`), withheld
 * (`content_filter`) or ended in an `other` unusual way, or a limit or condition ended the team behind the words
 * of `agent` (`team_ended`). Or what the server does not remember: this turn is not saved (`not_kept`), or the
 * earlier ones could not be read (`not_recalled`). `content` says it in one line.
 * @typedef {Object} NoticeEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"notice"} type
 * @property {string} agent
 * @property {string} content
 * @property {"length"|"content_filter"|"other"|"team_ended"|"not_kept"|"not_recalled"} reason
 * @property {true} [truncated]
 */

/**
 * The run failed. `message` is one readable line: no traceback, no path. `retry_after_s` are the seconds after
 * which asking again can succeed, if that is known. `lasting`: asking again at once fails in the same way.
 * @typedef {Object} ErrorEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"error"} type
 * @property {string} code
 * @property {string} message
 * @property {number|null} retry_after_s
 * @property {boolean} lasting
 */

/**
 * The server process that drove the run has failed, and another one begins the team's turn again. Nothing that
 * agents said or did before counts any more: messages and calls that are open then stay without an end.
 * `attempt` counts the beginnings of the turn; the first `Restarted` of a run has 2. `content` says it in one
 * line.
 * @typedef {Object} RestartedEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"restarted"} type
 * @property {number} attempt
 * @property {string} content
 * @property {true} [truncated]
 */

/**
 * Last event of every run. `stop_reason` is the team's own reason in one line, such as AutoGen's "Maximum number
 * of turns 3 reached."; None if the team gave none.
 * @typedef {Object} RunFinishedEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"run_finished"} type
 * @property {"stop"|"tool_calls"|"length"|"content_filter"|"refusal"|"cancelled"|"error"|"interrupted"} reason
 * @property {TokenCount} usage
 * @property {number} duration_s
 * @property {string|null} stop_reason
 */

/**
 * Replaces the events from number `first` to its own number, which the log has dropped.
 * @typedef {Object} DroppedEvent
 * @property {number} seq
 * @property {string} run_id
 * @property {string} timestamp
 * @property {"dropped"} type
 * @property {number} first
 */

/** @typedef {RunStartedEvent|WaitingEvent|RoutingEvent|ThinkingEvent|ActionTokenEvent|ActionEvent|ToolResultEvent|ValidationEvent|AnalysisEvent|MessageEvent|TokenEvent|ModelCalledEvent|UsageEvent|FinalEvent|InputRequestedEvent|ToolRequestedEvent|NoticeEvent|ErrorEvent|RestartedEvent|RunFinishedEvent|DroppedEvent} RunEvent */

/** The types of the fields of each kind of event, beside those that all have. */
export const FIELDS = new Map([
    ["run_started", {"model": "string"}],
    ["waiting", {"content": "string", "reason": "string", "position": "number|null", "retry_in_s": "number|null"}],
    ["routing", {"agent": "string", "content": "string", "team": "string|null", "team_name": "string|null", "confidence": "number|null", "strategy": "string|null"}],
    ["thinking", {"agent": "string", "content": "string", "streamed": "boolean"}],
    ["action_token", {"agent": "string", "tool": "string", "content": "string", "call_id": "string", "for_client": "boolean"}],
    ["action", {"agent": "string", "tool": "string", "arguments": "string", "call_id": "string", "truncated": "boolean"}],
    ["tool_result", {"agent": "string", "tool": "string", "content": "string", "call_id": "string", "is_error": "boolean", "truncated": "boolean", "summary": "string"}],
    ["validation", {"agent": "string", "content": "string", "approved": "boolean|null", "streamed": "boolean"}],
    ["analysis", {"agent": "string", "content": "string", "streamed": "boolean"}],
    ["message", {"agent": "string", "content": "string", "streamed": "boolean"}],
    ["token", {"agent": "string", "content": "string", "kind": "string"}],
    ["model_called", {"agent": "string", "model": "string"}],
    ["usage", {"agent": "string", "prompt_tokens": "number", "completion_tokens": "number", "model": "string", "duration_s": "number|null", "first_token_s": "number|null", "request_bytes": "number|null", "answer_bytes": "number|null", "error": "string|null"}],
    ["final", {"agent": "string", "content": "string", "streamed": "boolean", "tool": "string"}],
    ["input_requested", {"agent": "string", "content": "string", "is_approval": "boolean"}],
    ["tool_requested", {"agent": "string", "tool": "string", "arguments": "string", "call_id": "string"}],
    ["notice", {"agent": "string", "content": "string", "reason": "string"}],
    ["error", {"code": "string", "message": "string", "retry_after_s": "number|null", "lasting": "boolean"}],
    ["restarted", {"attempt": "number", "content": "string"}],
    ["run_finished", {"reason": "string", "usage": "object", "duration_s": "number", "stop_reason": "string|null"}],
    ["dropped", {"first": "number"}],
]);
