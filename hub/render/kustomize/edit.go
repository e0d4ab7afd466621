package kustomize

//lint:file-ignore SA1019 repositories have the deprecated fields of kustomizations, so they are supported

import (
	"math"
	"os"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/api/pkg/util"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/resid"

	"github.com/hawser-dev/hawser/hub/render/kustomize/remote"
	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// option is the field of an option of the source, for messages.
func option(name string) string { return "spec.source.kustomize." + name }

func optionAt(name string, i int) string { return option(name) + "[" + strconv.Itoa(i) + "]" }

// edit applies the options of the source to the kustomization that is built, as
// the `kustomize edit` commands do that Argo CD runs, and in their order. What
// an option sets replaces what the kustomization says; labels and annotations
// do so only when forced.
func (p *plan) edit(k *kustomization) error {
	o := p.w.Source.Kustomize
	if o == nil {
		return nil
	}
	if err := checkVersion(o.Version); err != nil {
		return err
	}
	k.changed = true
	if o.NamePrefix != "" {
		k.NamePrefix = o.NamePrefix
	}
	if o.NameSuffix != "" {
		k.NameSuffix = o.NameSuffix
	}
	for _, step := range []func(*kustomization, *model.KustomizeSource) error{
		p.editImages, p.editReplicas, p.editLabels, p.editAnnotations,
	} {
		if err := step(k, o); err != nil {
			return err
		}
	}
	if o.Namespace != "" {
		k.Namespace = o.Namespace
	}
	for i, patch := range o.Patches {
		edited, err := editedPatch(i, patch)
		if err != nil {
			return err
		}
		k.Patches = append(k.Patches, edited)
	}
	return p.editComponents(k, o)
}

func checkVersion(version string) error {
	if version == "" || "v"+strings.TrimPrefix(version, "v") == Version {
		return nil
	}
	return failure("kustomize %q is not here: this hub builds with %s", workspace.Clip(version, 60), Version).
		WithField(option("version")).WithFix("remove the version, or set it to %s", Version)
}

// expand replaces $NAME and ${NAME} of the build environment; "$$" is a dollar.
// Unknown names are empty, as in Argo CD.
func (p *plan) expand(text string) (string, error) {
	if !strings.Contains(text, "$") {
		return text, nil
	}
	var failed error
	out := os.Expand(text, func(name string) string {
		if name == "$" {
			return "$"
		}
		if !slices.Contains(workspace.BuildEnvironment, name) {
			return ""
		}
		value, err := p.w.Fact(name)
		if err != nil && failed == nil {
			failed = err
		}
		return value
	})
	return out, failed
}

// keep stands for what the kustomization has, in a part of an image.
const keep = "*"

func (p *plan) editImages(k *kustomization, o *model.KustomizeSource) error {
	if len(o.Images) == 0 {
		return nil
	}
	images := map[string]types.Image{}
	for i, text := range o.Images {
		expanded, err := p.expand(text)
		if err != nil {
			return err
		}
		image, ok := readImage(expanded)
		if !ok {
			return failure("%q is no image", workspace.Clip(expanded, 100)).WithField(optionAt("images", i)).
				WithFix("write NAME=NEW, NAME:TAG, NAME@DIGEST or NAME=NEW:TAG@DIGEST")
		}
		images[image.Name] = image
	}
	for _, known := range k.Images {
		image, replaced := images[known.Name]
		if !replaced {
			images[known.Name] = known
			continue
		}
		for _, part := range []struct{ is, was *string }{
			{&image.NewName, &known.NewName}, {&image.NewTag, &known.NewTag}, {&image.Digest, &known.Digest},
		} {
			if *part.is == keep {
				*part.is = *part.was
			}
		}
		images[known.Name] = image
	}
	k.Images = k.Images[:0:0]
	for _, image := range images {
		for _, part := range []*string{&image.NewName, &image.NewTag, &image.Digest} {
			if *part == keep {
				*part = ""
			}
		}
		k.Images = append(k.Images, image)
	}
	sort.Slice(k.Images, func(i, j int) bool { return k.Images[i].Name < k.Images[j].Name })
	return nil
}

// readImage reads NAME[=NEW][:TAG][@DIGEST].
func readImage(text string) (types.Image, bool) {
	name, value, renamed := strings.Cut(text, "=")
	if !renamed {
		value = text
	}
	image, tag, digest := util.SplitImageName(value)
	if !renamed && image == text || image == "" || renamed && name == "" {
		return types.Image{}, false
	}
	out := types.Image{Name: image, NewTag: tag, Digest: digest}
	if renamed {
		out.Name, out.NewName = name, image
	}
	return out, true
}

func (p *plan) editReplicas(k *kustomization, o *model.KustomizeSource) error {
	if len(o.Replicas) == 0 {
		return nil
	}
	replicas := map[string]types.Replica{}
	for _, r := range k.Replicas {
		replicas[r.Name] = r
	}
	for i, r := range o.Replicas {
		count := r.Count.Int
		if !r.Count.IsInt {
			var err error
			if count, err = strconv.ParseInt(strings.TrimSpace(r.Count.Str), 10, 64); err != nil {
				return failure("the count %q of %q is no whole number", workspace.Clip(r.Count.Str, 40), workspace.Clip(r.Name, 100)).WithField(optionAt("replicas", i) + ".count")
			}
		}
		if count < 0 || count > math.MaxInt32 {
			return failure("the count %d of %q is not between 0 and %d", count, workspace.Clip(r.Name, 100), math.MaxInt32).WithField(optionAt("replicas", i) + ".count")
		}
		if r.Name == "" {
			return failure("the name of the workload is missing").WithField(optionAt("replicas", i) + ".name")
		}
		replicas[r.Name] = types.Replica{Name: r.Name, Count: count}
	}
	k.Replicas = k.Replicas[:0:0]
	for _, r := range replicas {
		k.Replicas = append(k.Replicas, r)
	}
	sort.Slice(k.Replicas, func(i, j int) bool { return k.Replicas[i].Name < k.Replicas[j].Name })
	return nil
}

func (p *plan) editLabels(k *kustomization, o *model.KustomizeSource) error {
	if len(o.CommonLabels) == 0 {
		return nil
	}
	if o.LabelIncludeTemplates && !o.LabelWithoutSelector {
		return failure("labelIncludeTemplates works together with labelWithoutSelector only").WithField(option("labelIncludeTemplates")).
			WithFix("set labelWithoutSelector, or remove labelIncludeTemplates: labels of selectors are in templates anyhow")
	}
	into := &k.CommonLabels
	if o.LabelWithoutSelector {
		i := slices.IndexFunc(k.Labels, func(l types.Label) bool {
			return !l.IncludeSelectors && l.IncludeTemplates == o.LabelIncludeTemplates
		})
		if i < 0 {
			k.Labels = append(k.Labels, types.Label{IncludeTemplates: o.LabelIncludeTemplates})
			i = len(k.Labels) - 1
		}
		into = &k.Labels[i].Pairs
	}
	return p.merge(k, into, o.CommonLabels, true, o.ForceCommonLabels, "commonLabels", "forceCommonLabels")
}

func (p *plan) editAnnotations(k *kustomization, o *model.KustomizeSource) error {
	if len(o.CommonAnnotations) == 0 {
		return nil
	}
	return p.merge(k, &k.CommonAnnotations, o.CommonAnnotations, o.CommonAnnotationsEnvsubst, o.ForceCommonAnnotations, "commonAnnotations", "forceCommonAnnotations")
}

// merge adds labels or annotations to those of a kustomization.
func (p *plan) merge(k *kustomization, into *map[string]string, add map[string]string, expand, force bool, name, forceName string) error {
	if *into == nil {
		*into = map[string]string{}
	}
	keys := make([]string, 0, len(add))
	for key := range add {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		value := add[key]
		if expand {
			var err error
			if value, err = p.expand(value); err != nil {
				return err
			}
		}
		if _, there := (*into)[key]; there && !force {
			return failure("%s sets %q already", k.name, workspace.Clip(key, 100)).WithField(option(name)).
				WithFix("remove it here or there, or set %s to let the application win", forceName)
		}
		// One pair of quotes is how the command line keeps a number a text.
		if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		(*into)[key] = value
	}
	return nil
}

func editedPatch(i int, patch model.KustomizePatch) (types.Patch, error) {
	out := types.Patch{Path: patch.Path, Patch: patch.Patch}
	if (patch.Path == "") == (patch.Patch == "") {
		return out, failure("a patch is either a path or written in place").WithField(optionAt("patches", i)).WithFix("set one of path and patch")
	}
	if t := patch.Target; t != nil {
		out.Target = &types.Selector{
			ResId:              resid.ResId{Gvk: resid.Gvk{Group: t.Group, Version: t.Version, Kind: t.Kind}, Name: t.Name, Namespace: t.Namespace},
			AnnotationSelector: t.AnnotationSelector, LabelSelector: t.LabelSelector,
		}
	}
	if len(patch.Options) > 0 {
		out.Options = &types.PatchArgs{}
		for name, on := range patch.Options {
			switch name {
			case "allowNameChange":
				out.Options.AllowNameChange = on
			case "allowKindChange":
				out.Options.AllowKindChange = on
			default:
				return out, failure("there is no option %q of patches", workspace.Clip(name, 60)).WithField(optionAt("patches", i) + ".options").
					WithFix("the options are allowNameChange and allowKindChange")
			}
		}
	}
	return out, nil
}

// editComponents adds components, which may be patterns. Remote ones are left
// to the plan.
func (p *plan) editComponents(k *kustomization, o *model.KustomizeSource) error {
	for i, entry := range o.Components {
		field := optionAt("components", i)
		found := []string{entry}
		if _, _, _, _, remotely, _ := remote.ParseRemote(entry); !remotely {
			abs, confined := p.t.join(k.dir, entry)
			if !confined {
				return fault.New(fault.Unprocessable, "path_escapes_repo", "component %q may not leave the repository", workspace.Clip(entry, 100)).WithField(field)
			}
			info, err := p.t.stat(abs)
			if err != nil {
				return err
			}
			if !info.Exists {
				if found, err = p.pattern(k, entry); err != nil {
					return err
				}
			}
		}
		if len(found) == 0 {
			if o.IgnoreMissingComponents {
				continue
			}
			return failure("component %q does not exist: it is looked for from %s", workspace.Clip(entry, 100), p.t.name(k.dir)).WithField(field).
				WithFix("correct the path, or set ignoreMissingComponents")
		}
		for _, component := range found {
			if !slices.Contains(k.Components, component) {
				k.Components = append(k.Components, component)
			}
		}
	}
	return nil
}

// pattern returns the paths that fit, relative as the pattern is.
func (p *plan) pattern(k *kustomization, pattern string) ([]string, error) {
	if !strings.ContainsAny(pattern, "*?[") {
		return nil, nil
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, failure("%q is no pattern", workspace.Clip(pattern, 100)).WithField(option("components"))
	}
	found, err := p.t.Glob(path.Join(k.dir, pattern))
	if err != nil {
		return nil, err
	}
	out := make([]string, 0, len(found))
	for _, abs := range found {
		out = append(out, relativePath(k.dir, abs))
	}
	return out, nil
}
