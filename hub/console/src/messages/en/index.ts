import { flatten } from "../../i18n/catalogue";

export default flatten(import.meta.glob<Record<string, string>>("./*.json", { eager: true, import: "default" }));
