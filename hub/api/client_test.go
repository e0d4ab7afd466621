package api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http/httptest"
	"testing"

	"github.com/hawser-dev/hawser/cli/client"
	outside "github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// generatedClient is the client of the command line on a connection to the world.
func generatedClient(t *testing.T, w *world) *outside.Client {
	t.Helper()
	server := httptest.NewTLSServer(w.handler)
	t.Cleanup(server.Close)
	sum := sha256.Sum256(server.Certificate().RawSubjectPublicKeyInfo)
	c, err := client.New(client.Hub{URL: server.URL, CAHash: "sha256:" + hex.EncodeToString(sum[:]), Token: w.token})
	if err != nil {
		t.Fatal(err)
	}
	return outside.New(c)
}

func TestTheGeneratedClientMeetsTheHandler(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Settings = &fakeSettings{} })
	c, ctx := generatedClient(t, w), t.Context()

	who, err := c.GetCaller(ctx, outside.GetCallerQuery{})
	if err != nil || who.Name != "ana" || !who.Admin {
		t.Fatalf("%+v %v", who, err)
	}
	var app model.Application
	app.APIVersion, app.Kind, app.Metadata.Name = model.APIVersionArgo, model.KindApplication, "web"
	app.Spec = model.ApplicationSpec{
		Project: "default", Source: &model.Source{RepoURL: "https://github.com/shop/web", Path: "deploy"},
		Destination: model.Destination{Name: "eu", Namespace: "shop"},
	}
	var etag string
	if _, err := c.PutApplication(ctx, "web", app, outside.MustBeNew(), outside.ReadETag(&etag)); err != nil || etag != `"1"` {
		t.Fatalf("ETag %s: %v", etag, err)
	}
	if _, err := c.PutApplication(ctx, "web", app, outside.MustBeNew()); !fault.HasCode(err, "already_exists") {
		t.Errorf("put again: %v", err)
	}
	app.Spec.Destination.Namespace = "other"
	if _, err := c.PutApplication(ctx, "web", app, outside.IfMatch(`"7"`)); !fault.HasCode(err, "version_conflict") {
		t.Errorf("with another version: %v", err)
	}
	page, err := c.ListApplications(ctx, outside.ListApplicationsQuery{Project: "default", Limit: new(int64(1))})
	if err != nil || page.Total != 1 || len(page.Items) != 1 {
		t.Errorf("%+v %v", page, err)
	}
	first, err := c.SyncApplication(ctx, "web", outside.SyncApplicationQuery{}, model.OperationSpec{Prune: true}, outside.IdempotencyKey("k1"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.SyncApplication(ctx, "web", outside.SyncApplicationQuery{}, model.OperationSpec{Prune: true}, outside.IdempotencyKey("k1"))
	if err != nil || again.ID != first.ID {
		t.Errorf("asked again: %s and %s, %v", first.ID, again.ID, err)
	}
	if _, err := c.GetOperation(ctx, "nope"); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown operation: %v", err)
	}
	if err := c.DeleteRepository(ctx, "a/b", outside.DeleteRepositoryQuery{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a name with a slash: %v", err)
	}
	set, err := c.PutCustomizations(ctx, outside.PutCustomizationsQuery{DryRun: new(true)},
		outside.CustomizationsBody{Customizations: model.Customizations{"resource.customizations.ignoreDifferences.apps_Deployment": "jsonPointers: [/spec/replicas]"}})
	if err != nil || !set.DryRun || len(set.Changes) != 1 {
		t.Errorf("%+v %v", set, err)
	}
}
