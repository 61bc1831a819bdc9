// A page that is whole without a script: its head alone needs one.

import { say } from "./dom.js";
import { frame } from "./frame.js";

frame().catch((error) => say(error.message, true));
