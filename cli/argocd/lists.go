package argocd

import (
	"net/url"
	"strconv"

	"github.com/hawser-dev/hawser/shared/fault"
)

// everything reads all that the hub lists at a path, page by page.
func everything[T any](i *invocation, path string, q url.Values) (all []T, err error) {
	if q == nil {
		q = url.Values{}
	}
	q.Set("limit", strconv.Itoa(pageSize))
	for {
		var page struct {
			Items      []T    `json:"items"`
			NextCursor string `json:"nextCursor"`
		}
		if err := i.api.Get(i.ctx, path+"?"+q.Encode(), &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.NextCursor == "" {
			return all, nil
		}
		if page.NextCursor == q.Get("cursor") {
			return nil, fault.New(fault.Internal, "answer_invalid", "the hub answers the same page of %s again and again", path[1:])
		}
		q.Set("cursor", page.NextCursor)
	}
}
