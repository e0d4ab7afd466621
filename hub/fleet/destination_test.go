package fleet

import (
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

func TestMeans(t *testing.T) {
	cluster := model.Cluster{Name: "eu", Aliases: []string{"https://eu:6443/", "https://other"}}
	for _, c := range []struct {
		d    model.Destination
		want bool
	}{
		{model.Destination{Name: "eu"}, true},
		{model.Destination{Name: "us"}, false},
		{model.Destination{Server: "https://EU:6443"}, true},
		{model.Destination{Server: "https://eu:6444"}, false},
		{model.Destination{Name: "us", Server: "https://other"}, false}, // the name decides
		{model.Destination{}, false},
		{model.Destination{Name: "https://other"}, false},
	} {
		if Means(c.d, &cluster) != c.want {
			t.Errorf("%+v: not %v", c.d, c.want)
		}
	}
}
