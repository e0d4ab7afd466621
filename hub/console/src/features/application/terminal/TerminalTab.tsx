import { Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useMemo } from "react";
import { useT } from "../../../i18n";
import { paths } from "../../../routes/urls";
import { plainLine } from "../../../ui/plain";
import { EmptyView, ErrorView, LoadingView } from "../../../ui/states";
import { objectOf, objectText } from "../object";
import { treeQuery } from "../queries";
import { Shell } from "./Shell";
import classes from "./Terminal.module.css";

const route = getRouteApi(paths.application);

/** A shell in one of the application's pods. */
export default function TerminalTab({ name }: { name: string }) {
  const t = useT();
  const navigate = route.useNavigate();
  const { sel } = route.useSearch();
  const tree = useQuery(treeQuery(name));
  const pods = useMemo(() => (tree.data?.nodes ?? []).filter((n) => n.kind === "Pod" && !n.group), [tree.data]);
  if (tree.isPending) return <LoadingView />;
  if (tree.isError) return <ErrorView error={tree.error} onRetry={() => void tree.refetch()} />;
  const wanted = objectOf(sel);
  const pod = wanted?.kind === "Pod" && !wanted.group ? wanted : pods[0];
  if (pod === undefined) return <EmptyView title={t("terminal.none")}>{t("terminal.noneBody")}</EmptyView>;
  const text = objectText(pod);
  const data = pods.map((p) => ({ value: objectText(p), label: plainLine(p.name) }));
  if (!data.some((d) => d.value === text)) data.push({ value: text, label: plainLine(pod.name) });
  return (
    <Shell
      key={text}
      name={name}
      pod={pod}
      choice={
        <Select
          className={classes.pod}
          aria-label={t("terminal.pod")}
          data={data}
          value={text}
          allowDeselect={false}
          searchable
          limit={100}
          onChange={(v) => void navigate({ search: (old) => ({ ...old, sel: v ?? undefined }), replace: true })}
        />
      }
    />
  );
}
