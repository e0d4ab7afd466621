import { ActionIcon } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useT } from "../../../i18n";
import { paths } from "../../../routes/urls";
import { useChord } from "../../../ui/chords";
import { Icon } from "../../../ui/Icon";
import { neighboursQuery } from "../queries";
import classes from "./NeighbourLinks.module.css";

const route = getRouteApi(paths.application);

/** The application before and after this one in the list that one came from; [ and ] go there. */
export function NeighbourLinks({ name }: { name: string }) {
  const t = useT();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const list = useQuery(neighboursQuery(name, { project: search.project, filter: search.in, sort: search.order }));
  const go = (to: string | undefined) => {
    if (to === undefined) return;
    void navigate({
      to: paths.application,
      params: { application: to },
      search: { project: search.project, in: search.in, order: search.order, tab: search.tab, view: search.view },
    });
  };
  const { before, after } = list.data ?? {};
  const group = t("application.tabs");
  useChord("[", t("application.previous"), group, () => go(before), before !== undefined);
  useChord("]", t("application.next"), group, () => go(after), after !== undefined);
  if (list.data?.place === undefined || list.data.total < 2) return null;
  return (
    <span className={classes.links}>
      <ActionIcon
        size={20}
        aria-label={t("application.previous")}
        disabled={before === undefined}
        onClick={() => go(before)}
      >
        <Icon name="left" size={12} />
      </ActionIcon>
      <span>{t("application.place", { place: list.data.place, total: list.data.total })}</span>
      <ActionIcon size={20} aria-label={t("application.next")} disabled={after === undefined} onClick={() => go(after)}>
        <Icon name="right" size={12} />
      </ActionIcon>
    </span>
  );
}
