package app

import (
	"context"

	"github.com/hawser-dev/hawser/hub/api"
	"github.com/hawser-dev/hawser/hub/gateway"
	"github.com/hawser-dev/hawser/shared/model"
)

// access fits the gateway's access streams to the API.
type access struct{ gateway *gateway.Gateway }

func (a access) Open(ctx context.Context, cluster model.ClusterID, r model.AccessRequest) (api.AccessStream, error) {
	st, err := a.gateway.Access(ctx, cluster, r)
	if err != nil {
		return nil, err
	}
	return st, nil
}
