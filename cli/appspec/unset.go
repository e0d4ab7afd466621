package appspec

import (
	"reflect"
	"slices"

	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Unset are the flags of the command that takes overrides away again.
type Unset struct {
	values, parameters, images, replicas, env, options                                  []string
	valuesLiteral, ignoreMissing, prefix, suffix, version, namespace, passCredentials   bool
	missingComponents, ref, releaseName, commonLabels, commonAnnotations, plugin, jinja bool
	syncPolicy, retry, historyLimit                                                     bool
}

// Register adds the flags to a command.
func (u *Unset) Register(f *pflag.FlagSet) {
	f.StringArrayVar(&u.values, "values", nil, "Helm values file to leave out; may be repeated")
	f.StringArrayVarP(&u.parameters, "parameter", "p", nil, "Helm parameter to forget; may be repeated")
	f.BoolVar(&u.valuesLiteral, "values-literal", false, "forget the Helm values")
	f.BoolVar(&u.ignoreMissing, "ignore-missing-value-files", false, "fail again when a Helm values file is not there")
	f.BoolVar(&u.passCredentials, "pass-credentials", false, "send credentials to no other host again")
	f.BoolVar(&u.releaseName, "release-name", false, "forget the Helm release name")
	f.BoolVar(&u.prefix, "nameprefix", false, "forget the Kustomize name prefix")
	f.BoolVar(&u.suffix, "namesuffix", false, "forget the Kustomize name suffix")
	f.BoolVar(&u.version, "kustomize-version", false, "forget the Kustomize version")
	f.BoolVar(&u.namespace, "kustomize-namespace", false, "forget the Kustomize namespace")
	f.StringArrayVar(&u.images, "kustomize-image", nil, "Kustomize image to leave as it is; may be repeated")
	f.StringArrayVar(&u.replicas, "kustomize-replica", nil, "workload whose Kustomize replicas to forget; may be repeated")
	f.BoolVar(&u.commonLabels, "kustomize-common-labels", false, "forget the Kustomize common labels")
	f.BoolVar(&u.commonAnnotations, "kustomize-common-annotations", false, "forget the Kustomize common annotations")
	f.BoolVar(&u.missingComponents, "ignore-missing-components", false, "fail again when a Kustomize component is not there")
	f.StringArrayVar(&u.env, "plugin-env", nil, "environment variable of the plugin to forget; may be repeated")
	f.BoolVar(&u.plugin, "config-management-plugin", false, "forget the plugin")
	f.BoolVar(&u.jinja, "jinja", false, "forget the options of Jinja2 templates")
	f.BoolVar(&u.ref, "ref", false, "forget the name by which other sources refer to this one")
	f.StringArrayVar(&u.options, "sync-option", nil, "sync option to take away, by its name; may be repeated")
	f.BoolVar(&u.retry, "sync-retry", false, "try no failed sync again")
	f.BoolVar(&u.historyLimit, "revision-history-limit", false, "forget how many deployments are remembered")
	f.BoolVar(&u.syncPolicy, "sync-policy", false, "switch automated sync off")
}

// Apply takes away what the flags name. Naming what is not there is an error: it
// may be a mistake. So is naming nothing.
func (u *Unset) Apply(a *model.Application, position int) error {
	if reflect.DeepEqual(*u, Unset{}) {
		return fault.New(fault.Invalid, "usage", "nothing to take away").WithFix("name at least one, as in --parameter replicas")
	}
	source, err := Source(&a.Spec, position)
	if err != nil {
		return err
	}
	helm, kustomize, plugin := source.Helm, source.Kustomize, source.Plugin
	if helm == nil {
		helm = &model.HelmSource{}
	}
	if kustomize == nil {
		kustomize = &model.KustomizeSource{}
	}
	if plugin == nil {
		plugin = &model.PluginSource{}
	}
	for _, step := range []error{
		remove("values", u.values, &helm.ValueFiles, func(x string) string { return x }),
		remove("parameter", u.parameters, &helm.Parameters, func(x model.HelmParameter) string { return x.Name }),
		remove("kustomize-image", u.images, &kustomize.Images, imageName),
		remove("kustomize-replica", u.replicas, &kustomize.Replicas, func(x model.KustomizeReplica) string { return x.Name }),
		remove("plugin-env", u.env, &plugin.Env, func(x model.EnvEntry) string { return x.Name }),
	} {
		if step != nil {
			return step
		}
	}
	if u.valuesLiteral {
		helm.Values, helm.ValuesObject = "", nil
	}
	clearWhen(u.ignoreMissing, &helm.IgnoreMissingValueFiles)
	clearWhen(u.passCredentials, &helm.PassCredentials)
	clearWhen(u.releaseName, &helm.ReleaseName)
	clearWhen(u.prefix, &kustomize.NamePrefix)
	clearWhen(u.suffix, &kustomize.NameSuffix)
	clearWhen(u.version, &kustomize.Version)
	clearWhen(u.namespace, &kustomize.Namespace)
	clearWhen(u.commonLabels, &kustomize.CommonLabels)
	clearWhen(u.commonAnnotations, &kustomize.CommonAnnotations)
	clearWhen(u.missingComponents, &kustomize.IgnoreMissingComponents)
	clearWhen(u.ref, &source.Ref)
	clearWhen(u.plugin, &source.Plugin)
	clearWhen(u.jinja, &source.Jinja)
	clearWhen(u.historyLimit, &a.Spec.RevisionHistoryLimit)
	return u.applyPolicy(&a.Spec)
}

func (u *Unset) applyPolicy(spec *model.ApplicationSpec) error {
	p := spec.SyncPolicy
	if p == nil {
		p = &model.SyncPolicy{}
	}
	for _, name := range u.options {
		before := len(p.SyncOptions)
		if p.SyncOptions = withOption(p.SyncOptions, "!"+name); len(p.SyncOptions) == before {
			return notThere("sync-option", name)
		}
	}
	clearWhen(u.retry, &p.Retry)
	clearWhen(u.syncPolicy, &p.Automated)
	return nil
}

func clearWhen[T any](yes bool, what *T) {
	if yes {
		var zero T
		*what = zero
	}
}

// remove takes the entries with the keys out of a list.
func remove[T any](flag string, keys []string, from *[]T, keyOf func(T) string) error {
	for _, key := range keys {
		i := slices.IndexFunc(*from, func(x T) bool { return keyOf(x) == key })
		if i < 0 {
			return notThere(flag, key)
		}
		*from = slices.Delete(*from, i, i+1)
	}
	if len(*from) == 0 {
		*from = nil
	}
	return nil
}

func notThere(flag, name string) error {
	return fault.New(fault.NotFound, "override_unknown", "--%s: the application has no %q", flag, name).WithFix("see what it has: hawser app get NAME -o yaml")
}
