import type { ObjectKey } from "../../../api/types";
import { Shell } from "../terminal/Shell";

/** A shell in the pod that the sheet is about. */
export default function PodShell({ name, object }: { name: string; object: ObjectKey }) {
  return <Shell name={name} pod={object} />;
}
