package render

import (
	"context"
	"encoding/hex"

	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// What a render has fetched for it. A tree that was fetched is named by its
// question, so that the questions about it mean the same when a trace is asked
// again; what is in it has questions of its own.

func (a *answers) chart(ctx context.Context, q *workerv1.FetchChart) (reply, error) {
	id := identify(q.GetRepository(), q.GetName(), q.GetVersion())
	return a.fetched(ctx, "chart:"+hex.EncodeToString(id[:16]), func(f Fetcher) (Snapshot, string, string, error) {
		s, version, err := f.Chart(ctx, q.GetRepository(), q.GetName(), q.GetVersion())
		return s, "", version, err
	})
}

func (a *answers) base(ctx context.Context, q *workerv1.FetchBase) (reply, error) {
	id := identify(q.GetUrl())
	return a.fetched(ctx, "base:"+hex.EncodeToString(id[:16]), func(f Fetcher) (Snapshot, string, string, error) {
		s, dir, err := f.Base(ctx, q.GetUrl())
		if err != nil {
			return nil, "", "", err
		}
		return s, dir, s.Revision().Commit, nil
	})
}

func (a *answers) fetched(ctx context.Context, name string, get func(Fetcher) (s Snapshot, dir, version string, err error)) (reply, error) {
	t, ok := a.trees[name]
	if !ok {
		if err := a.mayFetch(); err != nil {
			return reply{}, err
		}
		s, dir, version, err := get(a.req.Fetch)
		if err != nil && !fixed(err) {
			return reply{}, err
		}
		t = &tree{snapshot: s, path: dir, version: version, err: err, known: map[string]entry{}}
		a.trees[name] = t
	}
	if t.err != nil {
		return reply{}, t.err
	}
	return reply{identify(t.path, t.version), func(context.Context) (*workerv1.Answer, error) {
		return &workerv1.Answer{Fetched: &workerv1.Fetched{Tree: name, Path: t.path, Version: t.version}}, nil
	}}, nil
}

func (a *answers) mayFetch() error {
	if a.req.Fetch == nil {
		return fault.New(fault.Denied, "repo_not_permitted", "nothing may be fetched for this source")
	}
	if len(a.trees)+len(a.files) > maxFetches {
		return fault.New(fault.Unprocessable, "too_large", "the source needs more than %d charts, bases and files from elsewhere", maxFetches)
	}
	return nil
}

func (a *answers) download(ctx context.Context, q *workerv1.Download) (reply, error) {
	d, ok := a.files[q.GetUrl()]
	if !ok {
		if err := a.mayFetch(); err != nil {
			return reply{}, err
		}
		d.content, d.err = a.req.Fetch.Download(ctx, q.GetUrl())
		if d.err != nil && !fixed(d.err) {
			return reply{}, d.err
		}
		a.files[q.GetUrl()] = d
	}
	if d.err != nil {
		return reply{}, d.err
	}
	return reply{identify(string(d.content)), func(context.Context) (*workerv1.Answer, error) {
		if err := a.spend(int64(len(d.content))); err != nil {
			return nil, err
		}
		return &workerv1.Answer{Contents: &workerv1.FileContents{Contents: [][]byte{d.content}}}, nil
	}}, nil
}

func (a *answers) plugin(ctx context.Context, q *workerv1.RunPlugin) (reply, error) {
	if !cleanQuestion(q.GetPath()) {
		return reply{}, errQuestion
	}
	if q.GetDiscover() {
		return a.discover(ctx, q)
	}
	if a.plugins == nil {
		return reply{}, fault.New(fault.Unprocessable, "plugin_unknown", "the source asks for a config management plugin, and this hub has none").
			WithField("spec.source.plugin").WithFix("start the hub with --plugin or --plugin-sockets")
	}
	run, err := a.pluginRun(ctx, q)
	if err != nil {
		return reply{}, err
	}
	content, err := a.pluginContent(ctx)
	if err != nil {
		return reply{}, err
	}
	var n summer
	n.text(a.plugins.Identity())
	n.text(q.GetName())
	n.text(q.GetPath())
	n.text(string(q.GetOptions()))
	n.text(content)
	for _, name := range factNames {
		value, err := a.factIdentity(ctx, name, run.Env[name])
		if err != nil {
			return reply{}, err
		}
		n.text(value)
	}
	return reply{n.sum(), func(ctx context.Context) (*workerv1.Answer, error) {
		name, manifests, err := a.plugins.Generate(ctx, run)
		if err != nil {
			return nil, err
		}
		if int64(len(manifests)) > a.limits.OutputBytes {
			return nil, fault.New(fault.Unprocessable, "plugin_failed", "plugin %q put out %d bytes; the limit is %d", name, len(manifests), a.limits.OutputBytes)
		}
		return &workerv1.Answer{Plugin: &workerv1.PluginOutput{Name: name, Manifests: manifests}}, nil
	}}, nil
}

// pluginContent identifies all files that a plugin can see, or those of them
// that the application says matter. A content that nobody can identify makes
// the render one that is not remembered.
func (a *answers) pluginContent(ctx context.Context) (string, error) {
	paths, err := a.generated(ctx)
	if err != nil {
		return "", err
	}
	if paths != (identity{}) {
		return "paths " + string(paths[:]), nil
	}
	root := a.req.Snapshot.Root()
	if root == "" {
		a.unsure = true
	}
	return "root " + root, nil
}

// discover is identified by its result, which is cheap to find again: the names
// of files decide, as a rule.
func (a *answers) discover(ctx context.Context, q *workerv1.RunPlugin) (reply, error) {
	name := ""
	if a.plugins != nil {
		run, err := a.pluginRun(ctx, q)
		if err != nil {
			return reply{}, err
		}
		if name, err = a.plugins.Discover(ctx, run); err != nil {
			return reply{}, err
		}
	}
	return reply{identify(name), func(context.Context) (*workerv1.Answer, error) {
		return &workerv1.Answer{Plugin: &workerv1.PluginOutput{Name: name}}, nil
	}}, nil
}

func (a *answers) pluginRun(_ context.Context, q *workerv1.RunPlugin) (PluginRun, error) {
	return PluginRun{
		Name: q.GetName(), Dir: q.GetPath(), Snapshot: a.req.Snapshot,
		Env: a.environment(), Options: q.GetOptions(),
	}, nil
}
