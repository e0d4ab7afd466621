import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useMemo } from "react";
import type { ObjectKey } from "../../../api/types";
import { useT } from "../../../i18n";
import { CliLine } from "../../../ui/CliLine";
import { CopyButton } from "../../../ui/CopyButton";
import { Facts } from "../../../ui/Facts";
import { MiddleTruncate, PlainText } from "../../../ui/PlainText";
import { plainLine } from "../../../ui/plain";
import { RelativeTime } from "../../../ui/RelativeTime";
import { cli } from "../../../ui/shell";
import { EmptyView, LoadingView } from "../../../ui/states";
import { isStale } from "../facets";
import { objectText } from "../object";
import { NextSteps, ObjectName } from "../overview/WhyList";
import { applicationQuery, treeQuery } from "../queries";
import { forestOf, type Item } from "../resources/items";
import { ObjectHealth, ObjectSync } from "../resources/ObjectState";
import classes from "./ObjectSheet.module.css";

const mostBelow = 25;

/** What is known of one object: its state and why, what differs, what owns it and what it owns. */
export default function Summary({ name, object }: { name: string; object: ObjectKey }) {
  const t = useT();
  const app = useQuery(applicationQuery(name)).data;
  const tree = useQuery(treeQuery(name));
  const forest = useMemo(() => forestOf({ resources: app?.resources }, tree.data), [app?.resources, tree.data]);
  if (app === undefined || tree.isPending) return <LoadingView rows={8} />;
  const key = objectText(object);
  const item = forest.byKey.get(key);
  if (item === undefined)
    return <EmptyView title={t("application.sheet.gone")}>{t("application.sheet.goneBody")}</EmptyView>;
  const asOf = isStale(app.freshness) ? (app.observedAt ?? "") : undefined;
  const differences = app.resources?.find((r) => objectText(r) === key)?.differences ?? [];
  const below = forest.children.get(key) ?? [];
  const owner = item.parent === undefined ? undefined : forest.byKey.get(item.parent);
  return (
    <>
      <Facts facts={facts(item, owner, name, asOf, t)} />
      <div className={classes.next}>
        <NextSteps name={name} object={object} of={differences.length > 0 ? ["diff", "logs"] : ["logs"]} />
      </div>
      {differences.length > 0 && (
        <section className={classes.section}>
          <h3>{t("application.sheet.differences", { n: differences.length })}</h3>
          <ul>
            {differences.map((d) => (
              <li key={d.path}>
                <code>
                  <PlainText text={d.path} lines={2} />
                </code>
                <div className={classes.pair}>
                  <span className={classes.of}>{t("diff.desired")}</span>
                  <del>
                    <PlainText text={d.desired ?? t("application.none")} lines={3} mono />
                  </del>
                  <span className={classes.of}>{t("diff.live")}</span>
                  <ins>
                    <PlainText text={d.live ?? t("application.none")} lines={3} mono />
                  </ins>
                </div>
                <span className={classes.dim}>
                  {d.manager !== undefined && d.manager !== "" && (
                    <>
                      {t("application.drift.by")} <PlainText text={d.manager} />{" "}
                    </>
                  )}
                  {d.changedAt !== undefined && <RelativeTime at={d.changedAt} />}
                </span>
              </li>
            ))}
          </ul>
        </section>
      )}
      {below.length > 0 && (
        <section className={classes.section}>
          <h3>{t("application.sheet.owns", { n: below.length })}</h3>
          <ul>
            {below.slice(0, mostBelow).map((i) => (
              <li key={i.key}>
                <ObjectHealth item={i} asOf={asOf} /> <ObjectName object={i.object} name={name} />
              </li>
            ))}
          </ul>
          {below.length > mostBelow && (
            <span className={classes.dim}>{t("application.andMore", { n: below.length - mostBelow })}</span>
          )}
        </section>
      )}
      <section className={classes.section}>
        <div className={classes.lines}>
          <CliLine command={resourceCommand(name, object)} />
          <CliLine command={kubectlCommand(object)} label="kubectl" />
        </div>
      </section>
    </>
  );
}

function facts(
  item: Item,
  owner: Item | undefined,
  name: string,
  asOf: string | undefined,
  t: ReturnType<typeof useT>,
): { name: string; value: ReactNode }[] {
  const o = item.object;
  const out: { name: string; value: ReactNode }[] = [
    {
      name: t("application.facet.health"),
      value: (
        <>
          <ObjectHealth item={item} asOf={asOf} />
          {item.message !== "" && <PlainText text={item.message} lines={6} />}
        </>
      ),
    },
    { name: t("application.facet.sync"), value: <ObjectSync item={item} asOf={asOf} /> },
    {
      name: t("application.resources.name"),
      value: (
        <>
          <MiddleTruncate text={o.name} most={44} />{" "}
          <CopyButton value={o.name} name={t("application.resources.name")} />
        </>
      ),
    },
    {
      name: t("application.resources.kind"),
      value: <PlainText text={`${o.group ? `${o.group}/` : ""}${item.version} ${o.kind}`} />,
    },
  ];
  if (o.namespace !== undefined)
    out.push({ name: t("application.fact.namespace"), value: <MiddleTruncate text={o.namespace} most={44} /> });
  if (owner !== undefined)
    out.push({ name: t("application.sheet.owner"), value: <ObjectName object={owner.object} name={name} /> });
  for (const i of item.info)
    out.push({ name: plainLine(i.name).slice(0, 40), value: <PlainText text={i.value} lines={3} /> });
  if (item.images.length > 0)
    out.push({
      name: t("application.sheet.images"),
      value: (
        <span className={classes.images}>
          {item.images.map((image) => (
            <span key={image} className={classes.image}>
              <MiddleTruncate text={image} most={44} />{" "}
              <CopyButton value={image} name={t("application.sheet.images")} />
            </span>
          ))}
        </span>
      ),
    });
  if (item.createdAt !== undefined)
    out.push({ name: t("application.fact.created"), value: <RelativeTime at={item.createdAt} /> });
  return out;
}

const kindName = (o: ObjectKey): string => (o.group === undefined ? o.kind : `${o.kind}.${o.group}`);

/** The command that prints the object. */
export function resourceCommand(name: string, o: ObjectKey): string {
  return cli(
    ...["hawser", "app", "resource", name, `${kindName(o)}/${o.name}`],
    o.namespace !== undefined && "-n",
    o.namespace,
  );
}

/** The same for who has a way to the cluster. */
export function kubectlCommand(o: ObjectKey): string {
  return cli(
    "kubectl",
    o.namespace !== undefined && "-n",
    o.namespace,
    "get",
    `${kindName(o)}/${o.name}`,
    "-o",
    "yaml",
  );
}
