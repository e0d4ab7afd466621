import { flatten } from "../../i18n/catalogue";
import frame from "./frame.json";
import ui from "./ui.json";

/** What the shell says; the words of other nouns load with their views. */
export default flatten({ frame, ui });
