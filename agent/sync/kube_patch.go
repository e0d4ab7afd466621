package sync

import (
	"cmp"
	"context"
	"net/http"
	"net/url"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Patch implements Applier.
func (k *Kube) Patch(ctx context.Context, p PatchRequest) ([]byte, error) {
	// The API server refuses a patch that would change these two.
	set := map[string]any{}
	if p.UID != "" {
		set["uid"] = p.UID
	}
	if p.ResourceVersion != "" {
		set["resourceVersion"] = p.ResourceVersion
	}
	body, err := edit(p.Patch, set)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unprocessable, "patch_invalid", "%s: the patch is not a JSON object with metadata that is one", p.Key)
	}
	q := url.Values{"fieldManager": {model.FieldManager}}
	if p.DryRun {
		q.Set("dryRun", "All")
	}
	return k.do(ctx, request{method: http.MethodPatch, kind: p.Kind, version: cmp.Or(p.Version, p.Kind.Version), key: p.Key, subresource: p.Subresource,
		query: q, contentType: "application/merge-patch+json", body: body, operation: p.Operation})
}
