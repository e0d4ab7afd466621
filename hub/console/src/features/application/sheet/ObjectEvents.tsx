import type { ObjectKey } from "../../../api/types";
import { EventList } from "../events/EventList";

/** What the cluster says about one object. */
export default function ObjectEvents({ name, object }: { name: string; object: ObjectKey }) {
  return <EventList name={name} object={object} />;
}
