package appspec

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Apply changes an application as the flags that were written say; all else stays.
// position is that of the source, 0 for the only one.
func (s *Flags) Apply(a *model.Application, position int) error {
	if s.sourceGiven() {
		source, err := Source(&a.Spec, position)
		if err != nil {
			return err
		}
		if err := s.applySource(source); err != nil {
			return err
		}
	}
	if err := s.applyMetadata(&a.Metadata); err != nil {
		return err
	}
	return s.applySpec(&a.Spec)
}

var notOfASource = map[string]bool{
	"dest-server": true, "dest-name": true, "dest-namespace": true, "project": true, "sync-policy": true, "sync-option": true, "auto-prune": true,
	"self-heal": true, "allow-empty": true, "revision-history-limit": true, "sync-retry-limit": true, "sync-retry-backoff-duration": true,
	"sync-retry-backoff-max-duration": true, "sync-retry-backoff-factor": true, "sync-retry-refresh": true, "set-finalizer": true, "label": true, "annotations": true,
}

func (s *Flags) sourceGiven() bool {
	for name := range registered {
		if !notOfASource[name] && s.set.Changed(name) {
			return true
		}
	}
	return false
}

// put sets what a flag says when it was written.
func put[T any](s *Flags, flag string, to *T, value T) {
	if s.set.Changed(flag) {
		*to = value
	}
}

func (s *Flags) any(flags ...string) bool {
	return slices.ContainsFunc(flags, s.set.Changed)
}

func (s *Flags) applySource(to *model.Source) error {
	put(s, "repo", &to.RepoURL, s.repo)
	put(s, "path", &to.Path, s.path)
	put(s, "helm-chart", &to.Chart, s.chart)
	put(s, "revision", &to.TargetRevision, s.revision)
	put(s, "tag-prefix", &to.TagPrefix, s.tagPrefix)
	put(s, "ref", &to.Ref, s.ref)
	put(s, "source-name", &to.Name, s.name)
	for _, apply := range []func(*model.Source) error{s.applyHelm, s.applyKustomize, s.applyDirectory, s.applyPlugin} {
		if err := apply(to); err != nil {
			return err
		}
	}
	if s.any("jinja-values") {
		if to.Jinja == nil {
			to.Jinja = &model.JinjaSource{}
		}
		to.Jinja.ValueFiles = s.jinjaValues
	}
	return nil
}

func (s *Flags) applyHelm(to *model.Source) error {
	if !s.any("values", "values-literal-file", "ignore-missing-value-files", "parameter", "helm-set", "helm-set-string", "helm-set-file", "release-name",
		"helm-version", "helm-pass-credentials", "helm-skip-crds", "helm-skip-schema-validation", "helm-skip-tests", "helm-namespace", "helm-kube-version", "helm-api-versions") {
		return nil
	}
	if to.Helm == nil {
		to.Helm = &model.HelmSource{}
	}
	h := to.Helm
	put(s, "values", &h.ValueFiles, s.values)
	put(s, "ignore-missing-value-files", &h.IgnoreMissingValueFiles, s.ignoreMissingValues)
	put(s, "release-name", &h.ReleaseName, s.releaseName)
	put(s, "helm-version", &h.Version, s.helmVersion)
	put(s, "helm-pass-credentials", &h.PassCredentials, s.passCredentials)
	put(s, "helm-skip-crds", &h.SkipCrds, s.skipCRDs)
	put(s, "helm-skip-schema-validation", &h.SkipSchemaValidation, s.skipSchema)
	put(s, "helm-skip-tests", &h.SkipTests, s.skipTests)
	put(s, "helm-namespace", &h.Namespace, s.helmNamespace)
	put(s, "helm-kube-version", &h.KubeVersion, s.helmKube)
	put(s, "helm-api-versions", &h.APIVersions, s.helmAPIs)
	if s.any("values-literal-file") {
		text, err := readText("values-literal-file", s.valuesLiteral)
		if err != nil {
			return err
		}
		h.Values, h.ValuesObject = text, nil
	}
	for _, group := range []struct {
		flag   string
		values []string
		force  bool
	}{{"parameter", s.parameters, false}, {"helm-set", s.sets, false}, {"helm-set-string", s.setStrings, true}} {
		for _, text := range group.values {
			name, value, err := pair(group.flag, text)
			if err != nil {
				return err
			}
			setParameter(h, model.HelmParameter{Name: name, Value: value, ForceString: group.force})
		}
	}
	for _, text := range s.setFiles {
		name, path, err := pair("helm-set-file", text)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(h.FileParameters, func(p model.HelmFileParameter) bool { return p.Name == name })
		if i < 0 {
			h.FileParameters = append(h.FileParameters, model.HelmFileParameter{Name: name})
			i = len(h.FileParameters) - 1
		}
		h.FileParameters[i].Path = path
	}
	return nil
}

// setParameter replaces the parameter of that name, or adds it.
func setParameter(h *model.HelmSource, p model.HelmParameter) {
	if i := slices.IndexFunc(h.Parameters, func(x model.HelmParameter) bool { return x.Name == p.Name }); i >= 0 {
		h.Parameters[i] = p
		return
	}
	h.Parameters = append(h.Parameters, p)
}

func (s *Flags) applyKustomize(to *model.Source) error {
	if !s.any("nameprefix", "namesuffix", "kustomize-image", "kustomize-replica", "kustomize-version", "kustomize-namespace", "kustomize-kube-version",
		"kustomize-api-versions", "kustomize-common-label", "kustomize-common-annotation", "kustomize-force-common-label", "kustomize-force-common-annotation",
		"kustomize-label-without-selector", "kustomize-label-include-templates", "kustomize-component", "ignore-missing-components") {
		return nil
	}
	if to.Kustomize == nil {
		to.Kustomize = &model.KustomizeSource{}
	}
	k := to.Kustomize
	put(s, "nameprefix", &k.NamePrefix, s.prefix)
	put(s, "namesuffix", &k.NameSuffix, s.suffix)
	put(s, "kustomize-version", &k.Version, s.kustomizeVersion)
	put(s, "kustomize-namespace", &k.Namespace, s.kustomizeNamespace)
	put(s, "kustomize-kube-version", &k.KubeVersion, s.kustomizeKube)
	put(s, "kustomize-api-versions", &k.APIVersions, s.kustomizeAPIs)
	put(s, "kustomize-force-common-label", &k.ForceCommonLabels, s.forceLabels)
	put(s, "kustomize-force-common-annotation", &k.ForceCommonAnnotations, s.forceAnnotations)
	put(s, "kustomize-label-without-selector", &k.LabelWithoutSelector, s.labelWithoutSelector)
	put(s, "kustomize-label-include-templates", &k.LabelIncludeTemplates, s.labelTemplates)
	put(s, "kustomize-component", &k.Components, s.components)
	put(s, "ignore-missing-components", &k.IgnoreMissingComponents, s.missingComponents)
	for _, image := range s.images {
		if i := slices.IndexFunc(k.Images, func(x string) bool { return imageName(x) == imageName(image) }); i >= 0 {
			k.Images[i] = image
		} else {
			k.Images = append(k.Images, image)
		}
	}
	for _, text := range s.replicas {
		name, value, err := pair("kustomize-replica", text)
		if err != nil {
			return err
		}
		count, err := strconv.ParseInt(value, 10, 32)
		if err != nil || count < 0 {
			return fault.New(fault.Invalid, "usage", "--kustomize-replica %q is not NAME=COUNT", text)
		}
		r := model.KustomizeReplica{Name: name, Count: model.IntOrString{IsInt: true, Int: count}}
		if i := slices.IndexFunc(k.Replicas, func(x model.KustomizeReplica) bool { return x.Name == name }); i >= 0 {
			k.Replicas[i] = r
		} else {
			k.Replicas = append(k.Replicas, r)
		}
	}
	if err := addPairs("kustomize-common-label", s.commonLabels, &k.CommonLabels); err != nil {
		return err
	}
	return addPairs("kustomize-common-annotation", s.commonAnnotations, &k.CommonAnnotations)
}

func addPairs(flag string, texts []string, to *map[string]string) error {
	for _, text := range texts {
		name, value, err := pair(flag, text)
		if err != nil {
			return err
		}
		if *to == nil {
			*to = map[string]string{}
		}
		(*to)[name] = value
	}
	return nil
}

// imageName is what an image of a kustomization replaces: what is before "=", else
// the image without tag and digest.
func imageName(image string) string {
	if name, _, ok := strings.Cut(image, "="); ok {
		return name
	}
	name, _, _ := strings.Cut(image, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	return name
}

func (s *Flags) applyDirectory(to *model.Source) error {
	if !s.any("directory-recurse", "directory-include", "directory-exclude", "jsonnet-tla-str", "jsonnet-tla-code", "jsonnet-ext-var-str", "jsonnet-ext-var-code", "jsonnet-libs") {
		return nil
	}
	if to.Directory == nil {
		to.Directory = &model.DirectoryOption{}
	}
	d := to.Directory
	put(s, "directory-recurse", &d.Recurse, s.recurse)
	put(s, "directory-include", &d.Include, s.include)
	put(s, "directory-exclude", &d.Exclude, s.exclude)
	if !s.any("jsonnet-tla-str", "jsonnet-tla-code", "jsonnet-ext-var-str", "jsonnet-ext-var-code", "jsonnet-libs") {
		return nil
	}
	if d.Jsonnet == nil {
		d.Jsonnet = &model.JsonnetOptions{}
	}
	put(s, "jsonnet-libs", &d.Jsonnet.Libs, s.libs)
	for _, group := range []struct {
		flag   string
		values []string
		code   bool
		to     *[]model.JsonnetVar
	}{
		{"jsonnet-tla-str", s.tlaStr, false, &d.Jsonnet.TLAs}, {"jsonnet-tla-code", s.tlaCode, true, &d.Jsonnet.TLAs},
		{"jsonnet-ext-var-str", s.extStr, false, &d.Jsonnet.ExtVars}, {"jsonnet-ext-var-code", s.extCode, true, &d.Jsonnet.ExtVars},
	} {
		for _, text := range group.values {
			name, value, err := pair(group.flag, text)
			if err != nil {
				return err
			}
			v := model.JsonnetVar{Name: name, Value: value, Code: group.code}
			if i := slices.IndexFunc(*group.to, func(x model.JsonnetVar) bool { return x.Name == name }); i >= 0 {
				(*group.to)[i] = v
			} else {
				*group.to = append(*group.to, v)
			}
		}
	}
	return nil
}

func (s *Flags) applyPlugin(to *model.Source) error {
	if !s.any("config-management-plugin", "plugin-env", "plugin-parameter") {
		return nil
	}
	if to.Plugin == nil {
		to.Plugin = &model.PluginSource{}
	}
	p := to.Plugin
	put(s, "config-management-plugin", &p.Name, s.plugin)
	for _, text := range s.pluginEnv {
		name, value, err := pair("plugin-env", text)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(p.Env, func(x model.EnvEntry) bool { return x.Name == name }); i >= 0 {
			p.Env[i].Value = value
		} else {
			p.Env = append(p.Env, model.EnvEntry{Name: name, Value: value})
		}
	}
	for _, text := range s.pluginParameters {
		name, value, err := pair("plugin-parameter", text)
		if err != nil {
			return err
		}
		x := model.PluginParameter{Name: name, String: &value}
		if i := slices.IndexFunc(p.Parameters, func(y model.PluginParameter) bool { return y.Name == name }); i >= 0 {
			p.Parameters[i] = x
		} else {
			p.Parameters = append(p.Parameters, x)
		}
	}
	return nil
}

func (s *Flags) applyMetadata(m *model.ObjectMeta) error {
	if err := addPairs("label", s.labels, &m.Labels); err != nil {
		return err
	}
	if err := addPairs("annotations", s.annotations, &m.Annotations); err != nil {
		return err
	}
	if s.set.Changed("set-finalizer") {
		m.Finalizers = slices.DeleteFunc(m.Finalizers, func(f string) bool { return f == model.FinalizerCascade })
		if s.finalizer {
			m.Finalizers = append(m.Finalizers, model.FinalizerCascade)
		}
	}
	return nil
}

func (s *Flags) applySpec(spec *model.ApplicationSpec) error {
	if s.any("dest-server", "dest-name") {
		// One names the cluster; the other would contradict it.
		spec.Destination.Server, spec.Destination.Name = s.server, s.cluster
	}
	put(s, "dest-namespace", &spec.Destination.Namespace, s.destNamespace)
	put(s, "project", &spec.Project, s.project)
	if s.set.Changed("revision-history-limit") {
		limit := s.historyLimit
		spec.RevisionHistoryLimit = &limit
	}
	return s.applyPolicy(spec)
}

func (s *Flags) applyPolicy(spec *model.ApplicationSpec) error {
	if !s.any("sync-policy", "sync-option", "auto-prune", "self-heal", "allow-empty", "sync-retry-limit", "sync-retry-backoff-duration",
		"sync-retry-backoff-max-duration", "sync-retry-backoff-factor", "sync-retry-refresh") {
		return nil
	}
	p := spec.SyncPolicy
	if p == nil {
		p = &model.SyncPolicy{}
	}
	switch s.policy {
	case "":
	case "none", "manual":
		p.Automated = nil
	case "automated", "automatic", "auto":
		if p.Automated == nil {
			p.Automated = &model.AutomatedSync{}
		}
		p.Automated.Enabled = nil
	default:
		return fault.New(fault.Invalid, "usage", "--sync-policy %q is not known", s.policy).WithFix("use automated or none")
	}
	if s.any("auto-prune", "self-heal", "allow-empty") && p.Automated == nil {
		if s.prune || s.selfHeal || s.allowEmpty {
			return fault.New(fault.Invalid, "usage", "--auto-prune and --self-heal need --sync-policy automated, and so does --allow-empty")
		}
	} else if p.Automated != nil {
		put(s, "auto-prune", &p.Automated.Prune, s.prune)
		put(s, "self-heal", &p.Automated.SelfHeal, s.selfHeal)
		put(s, "allow-empty", &p.Automated.AllowEmpty, s.allowEmpty)
	}
	for _, option := range s.options {
		p.SyncOptions = withOption(p.SyncOptions, option)
	}
	s.applyRetry(p)
	spec.SyncPolicy = p
	if p.Automated == nil && p.SyncOptions == nil && p.Retry == nil && p.ManagedNamespaceMetadata == nil {
		spec.SyncPolicy = nil
	}
	return nil
}

// withOption adds a sync option in place of another value of it, or with a leading
// "!" takes it away.
func withOption(options []string, option string) []string {
	removed := strings.HasPrefix(option, "!")
	option = strings.TrimPrefix(option, "!")
	name, _, _ := strings.Cut(option, "=")
	out := slices.DeleteFunc(slices.Clone(options), func(x string) bool {
		n, _, _ := strings.Cut(x, "=")
		return n == name
	})
	if !removed {
		out = append(out, option)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (s *Flags) applyRetry(p *model.SyncPolicy) {
	if !s.any("sync-retry-limit", "sync-retry-backoff-duration", "sync-retry-backoff-max-duration", "sync-retry-backoff-factor", "sync-retry-refresh") {
		return
	}
	if s.set.Changed("sync-retry-limit") && s.retryLimit == 0 {
		p.Retry = nil
		return
	}
	if p.Retry == nil {
		p.Retry = &model.RetryStrategy{Limit: 5} // Argo CD's
	}
	put(s, "sync-retry-limit", &p.Retry.Limit, s.retryLimit)
	put(s, "sync-retry-refresh", &p.Retry.Refresh, s.retryRefresh)
	if !s.any("sync-retry-backoff-duration", "sync-retry-backoff-max-duration", "sync-retry-backoff-factor") {
		return
	}
	if p.Retry.Backoff == nil {
		p.Retry.Backoff = &model.Backoff{}
	}
	put(s, "sync-retry-backoff-duration", &p.Retry.Backoff.Duration, s.retryDuration)
	put(s, "sync-retry-backoff-max-duration", &p.Retry.Backoff.MaxDuration, s.retryMaxDuration)
	if s.set.Changed("sync-retry-backoff-factor") {
		factor := s.retryFactor
		p.Retry.Backoff.Factor = &factor
	}
}
