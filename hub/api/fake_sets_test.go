package api

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func (s *fakeStore) UpsertApplicationSet(_ context.Context, set model.ApplicationSet, expected int64) (model.ApplicationSet, bool, error) {
	unlock, err := s.lock()
	if err != nil {
		return set, false, err
	}
	defer unlock()
	if project, ok := set.Project(); ok {
		if _, exists := s.projects[project]; !exists {
			return set, false, fault.New(fault.Invalid, "project_unknown", "there is no project %q", project)
		}
	}
	old, exists := s.sets[set.Metadata.Name]
	if expected != 0 && old.Metadata.Generation != expected {
		return set, false, fault.New(fault.Conflict, "version_conflict", "the application set %q was changed", set.Metadata.Name)
	}
	set.Metadata.Generation = old.Metadata.Generation + 1
	set.Metadata.ResourceVersion = strconv.FormatInt(set.Metadata.Generation, 10)
	if s.sets == nil {
		s.sets = map[string]model.ApplicationSet{}
	}
	s.sets[set.Metadata.Name] = set
	return set, !exists, nil
}

func (s *fakeStore) ApplicationSet(_ context.Context, name string) (model.ApplicationSet, error) {
	unlock, err := s.lock()
	if err != nil {
		return model.ApplicationSet{}, err
	}
	defer unlock()
	set, ok := s.sets[name]
	if !ok {
		return set, unknown("applicationset_not_found", "there is no application set %q", name)
	}
	return set, nil
}

func (s *fakeStore) ApplicationSets(context.Context) ([]model.ApplicationSet, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out []model.ApplicationSet
	for _, name := range slices.Sorted(maps.Keys(s.sets)) {
		out = append(out, s.sets[name])
	}
	return out, nil
}

func (s *fakeStore) DeleteApplicationSet(_ context.Context, name string, expected int64) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if old := s.sets[name]; expected != 0 && old.Metadata.Generation != expected {
		return fault.New(fault.Conflict, "version_conflict", "the application set %q was changed", name)
	}
	delete(s.sets, name)
	return nil
}
