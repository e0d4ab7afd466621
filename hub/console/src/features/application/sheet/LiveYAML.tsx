import { Button, Checkbox } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { ObjectKey } from "../../../api/types";
import { useT } from "../../../i18n";
import { CodeView } from "../../../ui/CodeView";
import { CopyButton } from "../../../ui/CopyButton";
import { Icon } from "../../../ui/Icon";
import { ErrorView, LoadingView } from "../../../ui/states";
import { liveObjectQuery } from "../queries";
import classes from "./ObjectSheet.module.css";

/** An object as its cluster has it now, values of Secrets redacted. */
export default function LiveYAML({ name, object }: { name: string; object: ObjectKey }) {
  const t = useT();
  const [managedFields, setManagedFields] = useState(false);
  const [wrap, setWrap] = useState(false);
  const live = useQuery(liveObjectQuery(name, object, managedFields));
  if (live.isPending) return <LoadingView />;
  if (live.isError) return <ErrorView error={live.error} onRetry={() => void live.refetch()} />;
  return (
    <>
      <div className={classes.bar}>
        <Checkbox
          label={t("application.sheet.managedFields")}
          checked={managedFields}
          onChange={(e) => setManagedFields(e.currentTarget.checked)}
        />
        <Checkbox
          label={t("application.sheet.wrap")}
          checked={wrap}
          onChange={(e) => setWrap(e.currentTarget.checked)}
        />
        <span className={classes.grow} />
        <Button
          variant="default"
          size="compact-xs"
          loading={live.isFetching}
          leftSection={<Icon name="refresh" size={12} />}
          onClick={() => void live.refetch()}
        >
          {t("application.sheet.reread")}
        </Button>
        <CopyButton value={live.data} name="YAML" />
      </div>
      <CodeView
        text={live.data}
        language="yaml"
        wrap={wrap}
        label={t("application.sheet.yamlOf", { name: object.name })}
      />
    </>
  );
}
