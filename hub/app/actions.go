package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/gateway"
	"github.com/hawser-dev/hawser/shared/model"
)

// actions fits the gateway's access streams to what the API asks about actions.
type actions struct{ gateway *gateway.Gateway }

func (a actions) ResourceActions(ctx context.Context, app fleet.App, by string, key model.ObjectKey) ([]model.ResourceAction, error) {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	request := model.AccessRequest{
		ID: hex.EncodeToString(id), By: by, App: app.UID,
		Actions: &model.ObjectSelector{Group: &key.Group, Kind: key.Kind, Namespace: key.Namespace, Name: key.Name},
	}
	if deadline, ok := ctx.Deadline(); ok {
		request.Timeout = time.Until(deadline)
	}
	stream, err := a.gateway.Access(ctx, app.Cluster, request)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	var out []model.ResourceAction
	for {
		answer, err := stream.Receive(ctx)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, answer.Actions...)
		if answer.End != nil && answer.End.Err != nil {
			return nil, answer.End.Err
		}
	}
}
