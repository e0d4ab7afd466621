import { Button, Modal, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api, idempotencyKey, Problem } from "../../client";
import { useT } from "../../i18n";
import { paths } from "../../routes/urls";
import { CliLine } from "../../ui/CliLine";
import layout from "../../ui/layout.module.css";
import { PlainText } from "../../ui/PlainText";
import { cli } from "../../ui/shell";

/** Makes a project with its first rules; the rest is added on its page. */
export function NewProject({ project, onClose }: { project: string | undefined; onClose: () => void }) {
  const t = useT();
  const client = useQueryClient();
  const go = useNavigate();
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  const [source, setSource] = useState("");
  const [cluster, setCluster] = useState("");
  const [namespace, setNamespace] = useState("");
  const v = {
    name: name.trim(),
    description: description.trim(),
    source: source.trim(),
    cluster: cluster.trim(),
    namespace: namespace.trim(),
  };
  const create = useMutation({
    mutationFn: () =>
      api.createProject(
        {
          apiVersion: "argoproj.io/v1alpha1",
          kind: "AppProject",
          metadata: { name: v.name },
          spec: {
            description: v.description || undefined,
            sourceRepos: v.source === "" ? undefined : [v.source],
            destinations:
              v.cluster === "" ? undefined : [{ name: v.cluster, namespace: v.namespace === "" ? "*" : v.namespace }],
          },
        },
        { mustBeNew: true, idempotencyKey: idempotencyKey() },
      ),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["projects"] });
      void go({ to: paths.project, params: { project: v.name }, search: { project } });
    },
  });
  const problem = create.isError ? Problem.of(create.error) : undefined;
  const atName = problem?.field?.includes("name") || problem?.isConflict;
  const submit = (e: FormEvent) => {
    e.preventDefault();
    create.mutate();
  };
  return (
    <Modal
      opened
      onClose={onClose}
      title={t("projects.new")}
      size="md"
      closeButtonProps={{ "aria-label": t("ui.close") }}
    >
      <form onSubmit={submit} className={layout.form}>
        <TextInput
          label={t("projects.name")}
          placeholder="team-pay"
          required
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          error={atName && problem !== undefined ? <PlainText text={problem.message} lines={3} /> : undefined}
          autoComplete="off"
          spellCheck={false}
          data-autofocus
        />
        <Textarea
          label={t("projects.description")}
          value={description}
          onChange={(e) => setDescription(e.currentTarget.value)}
          autosize
          minRows={1}
          maxRows={4}
        />
        <TextInput
          label={t("projects.new.source")}
          description={t("projects.new.source.help")}
          placeholder="https://git.example.com/team-pay/*"
          value={source}
          onChange={(e) => setSource(e.currentTarget.value)}
          autoComplete="off"
          spellCheck={false}
        />
        <div className={layout.pair}>
          <TextInput
            label={t("projects.new.cluster")}
            placeholder="eu-*"
            value={cluster}
            onChange={(e) => setCluster(e.currentTarget.value)}
            autoComplete="off"
            spellCheck={false}
          />
          <TextInput
            label={t("projects.namespace")}
            placeholder="team-pay-*"
            value={namespace}
            onChange={(e) => setNamespace(e.currentTarget.value)}
            autoComplete="off"
            spellCheck={false}
          />
        </div>
        <CliLine
          command={cli(
            "hawser",
            "project",
            "create",
            v.name || "NAME",
            ...(v.description ? ["--description", v.description] : []),
            ...(v.source ? ["--src", v.source] : []),
            ...(v.cluster ? ["--dest", `${v.cluster},${v.namespace || "*"}`] : []),
          )}
        />
        {problem !== undefined && !atName && (
          <div role="alert" className={layout.bad}>
            <PlainText text={[problem.message, problem.fix].filter(Boolean).join(" ")} lines={5} />{" "}
            <code>{problem.id || problem.code}</code>
          </div>
        )}
        <div className={layout.buttons} style={{ justifyContent: "flex-end" }}>
          <Button variant="default" onClick={onClose}>
            {t("ui.cancel")}
          </Button>
          <Button type="submit" loading={create.isPending} disabled={v.name === ""}>
            {t("projects.create")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
