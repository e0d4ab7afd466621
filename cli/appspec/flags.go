package appspec

import (
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Flags are what the commands create and set know of an application. Register
// them, parse, then Apply.
type Flags struct {
	set *pflag.FlagSet

	repo, path, chart, revision, tagPrefix, ref, name string
	// Helm.
	values, parameters, sets, setStrings, setFiles, helmAPIs              []string
	valuesLiteral, releaseName, helmVersion, helmNamespace, helmKube      string
	ignoreMissingValues, skipCRDs, passCredentials, skipSchema, skipTests bool
	// Kustomize.
	prefix, suffix, kustomizeVersion, kustomizeNamespace, kustomizeKube                    string
	images, replicas, commonLabels, commonAnnotations, components, kustomizeAPIs           []string
	forceLabels, forceAnnotations, labelWithoutSelector, labelTemplates, missingComponents bool
	// Directory, Jsonnet and plugins.
	recurse                                 bool
	include, exclude, plugin                string
	tlaStr, tlaCode, extStr, extCode, libs  []string
	pluginEnv, pluginParameters             []string
	jinjaValues                             []string
	server, cluster, destNamespace, project string
	policy                                  string
	options                                 []string
	prune, selfHeal, allowEmpty             bool
	historyLimit, retryLimit, retryFactor   int64
	retryDuration, retryMaxDuration         string
	retryRefresh, finalizer                 bool
	labels, annotations                     []string
}

// Register adds the flags to a command.
func (s *Flags) Register(f *pflag.FlagSet) {
	s.set = f
	s.registerSource(f)
	s.registerHelm(f)
	s.registerKustomize(f)
	s.registerOthers(f)
	f.StringVar(&s.server, "dest-server", "", "server URL of the destination, an alias of a cluster")
	f.StringVar(&s.cluster, "dest-name", "", "name of the destination cluster")
	f.StringVar(&s.destNamespace, "dest-namespace", "", "namespace of objects that name none")
	f.StringVar(&s.project, "project", "", "project (default: default)")
	f.StringVar(&s.policy, "sync-policy", "", "automated, or none (manual)")
	f.StringArrayVar(&s.options, "sync-option", nil, "sync option such as CreateNamespace=true, or !NAME to take one away; may be repeated")
	f.BoolVar(&s.prune, "auto-prune", false, "delete objects that leave Git, with automated sync")
	f.BoolVar(&s.selfHeal, "self-heal", false, "revert changes made in the cluster, with automated sync")
	f.BoolVar(&s.allowEmpty, "allow-empty", false, "let automated sync delete everything when nothing is left in Git")
	f.Int64Var(&s.historyLimit, "revision-history-limit", 0, "deployments that are remembered")
	f.Int64Var(&s.retryLimit, "sync-retry-limit", 0, "try a failed sync again so often")
	f.StringVar(&s.retryDuration, "sync-retry-backoff-duration", "", "pause before the first retry")
	f.StringVar(&s.retryMaxDuration, "sync-retry-backoff-max-duration", "", "longest pause")
	f.Int64Var(&s.retryFactor, "sync-retry-backoff-factor", 0, "factor by which the pause grows")
	f.BoolVar(&s.retryRefresh, "sync-retry-refresh", false, "retries take the newest revision")
	f.BoolVar(&s.finalizer, "set-finalizer", false, "delete the objects together with the application")
}

func (s *Flags) registerSource(f *pflag.FlagSet) {
	f.StringVar(&s.repo, "repo", "", "repository URL")
	f.StringVar(&s.path, "path", "", "directory in the repository")
	f.StringVar(&s.chart, "helm-chart", "", "chart of a chart repository or registry")
	f.StringVar(&s.revision, "revision", "", "branch, tag, commit, or version of a chart (default: HEAD)")
	f.StringVar(&s.tagPrefix, "tag-prefix", "", "prefix of the tags that a version constraint chooses from")
	f.StringVar(&s.ref, "ref", "", "name by which other sources refer to this one")
	f.StringVar(&s.name, "source-name", "", "name of the source")
}

func (s *Flags) registerHelm(f *pflag.FlagSet) {
	f.StringArrayVar(&s.values, "values", nil, "Helm values file of the repository; may be repeated")
	f.StringVar(&s.valuesLiteral, "values-literal-file", "", "file of this machine whose text becomes the Helm values")
	f.BoolVar(&s.ignoreMissingValues, "ignore-missing-value-files", false, "go on when a Helm values file is not there")
	f.StringArrayVarP(&s.parameters, "parameter", "p", nil, "Helm parameter NAME=VALUE; may be repeated")
	f.StringArrayVar(&s.sets, "helm-set", nil, "Helm parameter NAME=VALUE; may be repeated")
	f.StringArrayVar(&s.setStrings, "helm-set-string", nil, "Helm parameter NAME=VALUE that stays a string; may be repeated")
	f.StringArrayVar(&s.setFiles, "helm-set-file", nil, "Helm parameter NAME=PATH of a file in the repository; may be repeated")
	f.StringVar(&s.releaseName, "release-name", "", "Helm release name (default: the application's)")
	f.StringVar(&s.helmVersion, "helm-version", "", "accepted, has no effect")
	f.BoolVar(&s.passCredentials, "helm-pass-credentials", false, "send the repository's credentials to other hosts of its charts")
	f.BoolVar(&s.skipCRDs, "helm-skip-crds", false, "leave out the crds directory of the chart")
	f.BoolVar(&s.skipSchema, "helm-skip-schema-validation", false, "do not hold values against the chart's schema")
	f.BoolVar(&s.skipTests, "helm-skip-tests", false, "leave out the chart's tests")
	f.StringVar(&s.helmNamespace, "helm-namespace", "", "namespace for templates (default: the destination's)")
	f.StringVar(&s.helmKube, "helm-kube-version", "", "Kubernetes version for templates (default: the cluster's)")
	f.StringArrayVar(&s.helmAPIs, "helm-api-versions", nil, "API for templates (default: the cluster's); may be repeated")
}

func (s *Flags) registerKustomize(f *pflag.FlagSet) {
	f.StringVar(&s.prefix, "nameprefix", "", "Kustomize name prefix")
	f.StringVar(&s.suffix, "namesuffix", "", "Kustomize name suffix")
	f.StringArrayVar(&s.images, "kustomize-image", nil, "Kustomize image NAME=IMAGE or IMAGE:TAG; may be repeated")
	f.StringArrayVar(&s.replicas, "kustomize-replica", nil, "Kustomize replicas NAME=COUNT; may be repeated")
	f.StringVar(&s.kustomizeVersion, "kustomize-version", "", "accepted, has no effect")
	f.StringVar(&s.kustomizeNamespace, "kustomize-namespace", "", "Kustomize namespace")
	f.StringVar(&s.kustomizeKube, "kustomize-kube-version", "", "Kubernetes version for charts in kustomizations")
	f.StringArrayVar(&s.kustomizeAPIs, "kustomize-api-versions", nil, "API for charts in kustomizations; may be repeated")
	f.StringArrayVar(&s.commonLabels, "kustomize-common-label", nil, "Kustomize common label NAME=VALUE; may be repeated")
	f.StringArrayVar(&s.commonAnnotations, "kustomize-common-annotation", nil, "Kustomize common annotation NAME=VALUE; may be repeated")
	f.BoolVar(&s.forceLabels, "kustomize-force-common-label", false, "let common labels replace others")
	f.BoolVar(&s.forceAnnotations, "kustomize-force-common-annotation", false, "let common annotations replace others")
	f.BoolVar(&s.labelWithoutSelector, "kustomize-label-without-selector", false, "leave selectors without the common labels")
	f.BoolVar(&s.labelTemplates, "kustomize-label-include-templates", false, "put common labels on templates too")
	f.StringArrayVar(&s.components, "kustomize-component", nil, "Kustomize component; may be repeated")
	f.BoolVar(&s.missingComponents, "ignore-missing-components", false, "go on when a Kustomize component is not there")
}

func (s *Flags) registerOthers(f *pflag.FlagSet) {
	f.BoolVar(&s.recurse, "directory-recurse", false, "read directories below the path")
	f.StringVar(&s.include, "directory-include", "", "glob of files to read")
	f.StringVar(&s.exclude, "directory-exclude", "", "glob of files to leave out")
	f.StringArrayVar(&s.tlaStr, "jsonnet-tla-str", nil, "Jsonnet top level argument NAME=TEXT; may be repeated")
	f.StringArrayVar(&s.tlaCode, "jsonnet-tla-code", nil, "Jsonnet top level argument NAME=CODE; may be repeated")
	f.StringArrayVar(&s.extStr, "jsonnet-ext-var-str", nil, "Jsonnet external variable NAME=TEXT; may be repeated")
	f.StringArrayVar(&s.extCode, "jsonnet-ext-var-code", nil, "Jsonnet external variable NAME=CODE; may be repeated")
	f.StringArrayVar(&s.libs, "jsonnet-libs", nil, "Jsonnet library directory; may be repeated")
	f.StringVar(&s.plugin, "config-management-plugin", "", "config management plugin")
	f.StringArrayVar(&s.pluginEnv, "plugin-env", nil, "environment NAME=VALUE of the plugin; may be repeated")
	f.StringArrayVar(&s.pluginParameters, "plugin-parameter", nil, "parameter NAME=VALUE of the plugin; may be repeated")
	f.StringArrayVar(&s.jinjaValues, "jinja-values", nil, "values file of Jinja2 templates; may be repeated")
}

// RegisterMetadata adds the flags for labels and annotations, which only a new
// application takes.
func (s *Flags) RegisterMetadata(f *pflag.FlagSet) {
	f.StringArrayVarP(&s.labels, "label", "l", nil, "label NAME=VALUE of the application; may be repeated")
	f.StringArrayVar(&s.annotations, "annotations", nil, "annotation NAME=VALUE of the application; may be repeated")
}

// Given reports whether any flag about the application was written.
func (s *Flags) Given() bool {
	given := false
	s.set.Visit(func(f *pflag.Flag) { given = given || registered[f.Name] })
	return given
}

// registered are the names of all flags of this package.
var registered = func() map[string]bool {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	var s Flags
	s.Register(f)
	s.RegisterMetadata(f)
	out := map[string]bool{}
	f.VisitAll(func(x *pflag.Flag) { out[x.Name] = true })
	return out
}()

// pair takes NAME=VALUE apart.
func pair(flag, text string) (name, value string, err error) {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return "", "", fault.New(fault.Invalid, "usage", "--%s %q is not NAME=VALUE", flag, text)
	}
	return name, value, nil
}

func readText(flag, file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fault.New(fault.Invalid, "file_unreadable", "--%s: %s", flag, err)
	}
	return string(b), nil
}

// Source returns the source that a change is of: the one at position, which counts
// from 1, or with position 0 the only one.
func Source(spec *model.ApplicationSpec, position int) (*model.Source, error) {
	if len(spec.Sources) == 0 {
		if position > 1 {
			return nil, fault.New(fault.Invalid, "source_position_unknown", "the application has one source, there is no number %d", position)
		}
		if spec.Source == nil {
			spec.Source = &model.Source{}
		}
		return spec.Source, nil
	}
	if position < 1 || position > len(spec.Sources) {
		return nil, fault.New(fault.Invalid, "source_position_unknown", "the application has %d sources; which one is meant?", len(spec.Sources)).
			WithFix("say it with --source-position, from 1 to %d", len(spec.Sources))
	}
	return &spec.Sources[position-1], nil
}

// Position finds the source with a name.
func Position(spec model.ApplicationSpec, name string) (int, error) {
	for i, s := range spec.Sources {
		if s.Name == name {
			return i + 1, nil
		}
	}
	return 0, fault.New(fault.NotFound, "source_position_unknown", "the application has no source with the name %q", name)
}
