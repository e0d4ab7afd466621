package render

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// outputVersion is part of every key: it rises when the same inputs give other
// objects than before.
const outputVersion = "r2"

// toolModules are the libraries whose version is part of every key.
var toolModules = []string{
	"helm.sh/helm/v3", "sigs.k8s.io/kustomize/api", "sigs.k8s.io/kustomize/kyaml",
	"github.com/flosch/pongo2/v6", "github.com/google/go-jsonnet", "github.com/Masterminds/sprig/v3",
}

// toolVersions identifies all that turns inputs into objects.
var toolVersions = sync.OnceValue(func() string {
	out := outputVersion + " " + runtime.Version()
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if slices.Contains(toolModules, m.Path) {
				out += " " + m.Path + "@" + m.Version
			}
		}
	}
	return out
})

// job is the request to a worker, after checks that need no file. What only
// says where the source is stays out of it, so that the same files rendered in
// the same way are the same job wherever they come from; tools ask for it as
// facts.
func (r *Renderer) job(req Request) (*workerv1.RenderJob, error) {
	src := req.Source
	if src.Chart != "" {
		src.Path = ""
	}
	dir, err := cleanPath(src.Path)
	if err != nil {
		return nil, err
	}
	src.Path = dir
	src.RepoURL, src.TargetRevision, src.TagPrefix, src.Ref, src.Name = "", "", "", "", ""
	encoded, err := json.Marshal(src)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "source_invalid", "the options of the source cannot be read")
	}
	refs := make([]string, 0, len(req.Refs))
	for name := range req.Refs {
		refs = append(refs, name)
	}
	slices.Sort(refs)
	l := r.opts.Limits
	return &workerv1.RenderJob{Source: encoded, Refs: refs, Limits: &workerv1.RenderLimits{
		FileBytes: l.FileBytes, TotalBytes: l.TotalBytes, Objects: int64(l.Objects), Depth: int64(l.Depth),
		AliasExpansion: l.AliasExpansion, OutputBytes: l.OutputBytes,
	}}, nil
}

// cleanPath checks the path of a source; "" is the root.
func cleanPath(p string) (string, error) {
	clean := path.Clean("/" + p)
	rel := path.Clean(p)
	if strings.ContainsAny(p, "\x00\\") || strings.HasPrefix(p, "/") || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", fault.New(fault.Invalid, "path_escapes_repo", "path %.100q may not leave the repository: write it relative to the root, without \"..\" and \"\\\"", p).
			WithField("spec.source.path")
	}
	return strings.TrimPrefix(clean, "/"), nil
}

// deterministic makes equal messages equal bytes within one build of the hub.
var deterministic = proto.MarshalOptions{Deterministic: true}

// digest identifies text parts; no two lists of parts have the same.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s,", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// optionsDigest identifies a job.
func optionsDigest(job *workerv1.RenderJob) (string, error) {
	encoded, err := deterministic.Marshal(job)
	if err != nil {
		return "", fault.Wrap(err, fault.Internal, "internal", "internal error")
	}
	return digest(toolVersions(), string(encoded)), nil
}

// sourceOf reads the source of a job.
func sourceOf(job *workerv1.RenderJob) (model.Source, error) {
	var src model.Source
	if err := json.Unmarshal(job.GetSource(), &src); err != nil {
		return src, fault.Wrap(err, fault.Internal, "internal", "the render job cannot be read")
	}
	return src, nil
}
