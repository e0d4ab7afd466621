import { getRouteApi, Link } from "@tanstack/react-router";
import { Suspense } from "react";
import type { ObjectKey } from "../../../api/types";
import { useT } from "../../../i18n";
import { paths } from "../../../routes/urls";
import { useChord } from "../../../ui/chords";
import { MiddleTruncate } from "../../../ui/PlainText";
import { SideSheet } from "../../../ui/SideSheet";
import { LoadingView } from "../../../ui/states";
import { objectText } from "../object";
import { type ObjectTab, objectTabs } from "../tabs";
import { ActionsMenu } from "./ActionsMenu";
import classes from "./ObjectSheet.module.css";

const route = getRouteApi(paths.application);

/** The side sheet of one object of an application. */
export function ObjectSheet({ name, object }: { name: string; object: ObjectKey }) {
  const t = useT();
  const navigate = route.useNavigate();
  const { sheet } = route.useSearch();
  const mine = objectTabs.filter((x) => x.of === undefined || x.of(object));
  const tab = mine.find((x) => x.id === sheet) ?? (mine[0] as ObjectTab);
  const Content = tab.component;
  useChord(
    "y",
    t("application.sheet.yaml"),
    t("application.sheet"),
    () => void navigate({ search: (old) => ({ ...old, sheet: "yaml" }), replace: true }),
  );
  return (
    <SideSheet
      width={tab.width ?? 640}
      title={
        <>
          <span className={classes.kind}>{object.kind}</span> <MiddleTruncate text={object.name} most={48} />
        </>
      }
      actions={<ActionsMenu key={objectText(object)} name={name} object={object} />}
      onClose={() => void navigate({ search: (old) => ({ ...old, sheet: undefined }) })}
    >
      <div className={classes.sheet}>
        <nav className={classes.tabs} aria-label={t("application.sheet")}>
          {mine.map((x) => (
            <Link
              key={x.id}
              to={paths.application}
              params={{ application: name }}
              search={(old) => ({ ...old, sheet: x.id })}
              from={paths.application}
              replace
              activeOptions={{ exact: true, includeSearch: true }}
              aria-current={x === tab ? "page" : undefined}
            >
              {t(x.title)}
            </Link>
          ))}
        </nav>
        <div className={classes.content}>
          <Suspense fallback={<LoadingView rows={8} />}>
            <Content key={objectText(object)} name={name} object={object} />
          </Suspense>
        </div>
      </div>
    </SideSheet>
  );
}
