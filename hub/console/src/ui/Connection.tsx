import type { ReactNode } from "react";
import { useT } from "../i18n";
import { RelativeTime } from "./RelativeTime";
import { StatusText } from "./StatusIcon";

const connections = ["connected", "offline", "never", "held", "revoked"] as const;

/** How an agent is connected to the hub. */
export type Connection = (typeof connections)[number];

/** The connection that a word of the hub means; one of a newer hub is not known to be there. */
export function connectionWord(state: string): Connection {
  return connections.find((c) => c === state) ?? "offline";
}

/** The connection of a cluster as the hub lists it. */
export function connectionOf(c: {
  connected: boolean;
  revoked?: boolean;
  held?: string;
  lastSeen?: string;
}): Connection {
  if (c.revoked === true) return "revoked";
  if (c.held !== undefined && c.held !== "") return "held";
  if (c.connected) return "connected";
  return c.lastSeen === undefined ? "never" : "offline";
}

/** A connection in shape, word and colour; one that is not there with when it was. */
export function ConnectionText({ state, lastSeen }: { state: string; lastSeen: Date | string | undefined }): ReactNode {
  const t = useT();
  const word = connectionWord(state);
  const shown = t(`ui.connection.${word}`);
  switch (word) {
    case "connected":
      return <StatusText state="healthy">{shown}</StatusText>;
    case "held":
      return <StatusText state="suspended">{shown}</StatusText>;
    case "never":
      return <StatusText state="unknown">{shown}</StatusText>;
  }
  return (
    <StatusText
      state={word === "revoked" ? "missing" : "degraded"}
      asOf={lastSeen !== undefined && <RelativeTime at={lastSeen} short />}
    >
      {shown}
    </StatusText>
  );
}
