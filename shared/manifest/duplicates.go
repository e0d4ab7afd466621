package manifest

import (
	"fmt"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Duplicates returns an error when two objects have the same key: code
// duplicate_object, one entry (of at most 20) for each, naming both origins.
func Duplicates(objs []Object) error {
	first := make(map[model.ObjectKey]int, len(objs))
	var found fault.List
	for i, o := range objs {
		if meta, _ := o.Body["metadata"].(map[string]any); meta["name"] == nil && meta["generateName"] != nil {
			continue // each hook of that prefix gets a name of its own
		}
		j, ok := first[o.Key]
		if !ok {
			first[o.Key] = i
			continue
		}
		if len(found) < 20 {
			found = append(found, fault.New(fault.Unprocessable, "duplicate_object", "%s",
				clip(fmt.Sprintf("%s is defined twice: %s and %s", spoken(o.Key), objs[j].Origin, o.Origin), maxMessage)).
				WithFix("keep one of them"))
		}
	}
	switch len(found) {
	case 0:
		return nil
	case 1:
		return found[0]
	}
	return found
}

// spoken is "Deployment shop/web": people know kinds without their groups.
func spoken(k model.ObjectKey) string {
	if k.Namespace == "" {
		return k.Kind + " " + k.Name
	}
	return k.Kind + " " + k.Namespace + "/" + k.Name
}
