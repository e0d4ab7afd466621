import { EventList } from "./EventList";

/** What the cluster says about all objects of an application. */
export default function Events({ name }: { name: string }) {
  return <EventList name={name} />;
}
