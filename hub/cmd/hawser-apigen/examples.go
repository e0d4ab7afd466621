package main

import (
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hawser-dev/hawser/hub/api"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

var exampleTime = time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)

// examples of the main objects.
var examples = []any{
	model.Application{
		APIVersion: model.APIVersionArgo, Kind: model.KindApplication, Metadata: model.ObjectMeta{Name: "web", Labels: map[string]string{"team": "shop"}},
		Spec: model.ApplicationSpec{
			Project:     "shop",
			Source:      &model.Source{RepoURL: "https://github.com/shop/deploy", Path: "web/production", TargetRevision: "main"},
			Destination: model.Destination{Name: "eu-1", Namespace: "shop-web"},
			SyncPolicy:  &model.SyncPolicy{Automated: &model.AutomatedSync{Prune: true, SelfHeal: true}},
		},
	},
	model.AppProject{
		APIVersion: model.APIVersionArgo, Kind: model.KindAppProject, Metadata: model.ObjectMeta{Name: "shop"},
		Spec: model.AppProjectSpec{
			Description: "the shop's teams", SourceRepos: []string{"https://github.com/shop/*"},
			Destinations: []model.ProjectDestination{{Name: "eu-*", Namespace: "shop-*"}},
		},
	},
	model.OperationSpec{Prune: true, Resources: []string{"apps:Deployment:shop-web/web"}, Reason: "the new release"},
	model.OperationInfo{
		ID: "01958f2e-8a40-7c3e-9d2b-1f6a54c0e7aa", App: "5f0c1d1e-6d2a-4c5b-8a34-0c9d8f6e2b11", AppName: "web", Kind: model.OperationSync,
		Spec: model.OperationSpec{Prune: true}, Phase: model.PhaseQueued, InitiatedBy: "ana", CreatedAt: &exampleTime,
	},
	model.Cluster{
		ID: "0b7c7f52-55d5-4c9a-9c63-2a1f8f0d4e10", Name: "eu-1", Labels: map[string]string{"region": "eu"}, Connected: true, Freshness: model.FreshLive,
		AgentVersion: "1.0.0", KubeVersion: "v1.34.1", Nodes: 12, Namespaces: 40, Applications: 31,
	},
	api.ProblemOf(fault.New(fault.Denied, "destination_not_permitted", `project "shop" may deploy to eu-*/shop-*; this is us-1/kube-system`).
		WithField("spec.destination").WithFound("us-1/kube-system", "eu-*/shop-*"), "4f2a9c0d1b7e"),
}

func examplesOf(t reflect.Type) map[string]*huma.Example {
	for _, v := range examples {
		if reflect.TypeOf(v) == t {
			return map[string]*huma.Example{"example": {Value: v}}
		}
	}
	return nil
}
