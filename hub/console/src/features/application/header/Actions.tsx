import { Button } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import type { AppView } from "../../../api/types";
import { useT } from "../../../i18n";
import { paths } from "../../../routes/urls";
import { Icon } from "../../../ui/Icon";
import { tabs } from "../tabs";

const route = getRouteApi(paths.application);

/** What can be done with an application: tabs that do something have a button here. */
export function Actions({ app }: { app: AppView }) {
  const t = useT();
  const navigate = route.useNavigate();
  return (
    <>
      {tabs.map(
        (x) =>
          x.button !== undefined && (
            <Button
              key={x.id}
              variant={x.button.primary ? "filled" : "default"}
              leftSection={<Icon name={x.button.icon} size={14} />}
              disabled={app.deleting}
              onClick={() => void navigate({ search: (old) => ({ ...old, tab: x.id, sheet: undefined }) })}
            >
              {t(x.button.title)}
            </Button>
          ),
      )}
    </>
  );
}
