package diff

// Schema says how the values of kinds are merged, filled in and stored. A Schema
// may be used by several goroutines.
type Schema interface {
	// Type is the type of whole objects of a kind, or nil when the schema does
	// not know the kind in this version.
	Type(apiVersion, kind string) *Type
}

// Schemas asks several schemas; the first that knows a kind answers.
type Schemas []Schema

// Type implements Schema.
func (s Schemas) Type(apiVersion, kind string) *Type {
	for _, one := range s {
		if one == nil {
			continue
		}
		if t := one.Type(apiVersion, kind); t != nil {
			return t
		}
	}
	return nil
}

// Type describes the values of one field. It is made by BuiltIn, CRDSchema and
// OpenAPISchema, and never changes afterwards.
type Type struct {
	shape shape
	// atomic maps and structs are replaced as a whole.
	atomic bool
	// verbatim values are stored as they were given, as those of custom
	// resources: an empty map is something else than none.
	verbatim bool
	// partial types come from a document that tells neither what is filled in nor
	// what may be null.
	partial bool
	merge   mergeRule // of lists
	keys    []string  // of a list whose elements are found by key
	fields  map[string]*fieldType
	elem    *Type // of lists and maps, and of fields that a struct does not declare
	name    string
}

type shape uint8

const (
	// shapeUnknown: nothing is known.
	shapeUnknown shape = iota
	// shapeAny: the server itself knows nothing of it: lists are atomic, maps
	// merge, all is stored as it was given.
	shapeAny
	shapeScalar
	shapeQuantity
	shapeTime
	shapeMicroTime
	shapeDuration
	shapeBytes
	shapeStruct
	shapeMap
	shapeList
	// shapeUnion is an object of type elem, or anything else.
	shapeUnion
)

// fieldType is one field of a struct, or stands for the elements of a map or list.
type fieldType struct {
	typ *Type
	// presence: that the field is there means something even when its value is
	// empty or zero. Otherwise the server takes zero for absent.
	presence bool
	nullable bool
	partial  bool // as of Type
	// def is what the server fills in, when hasDef.
	def    any
	hasDef bool
}

// keepsNull: a null is stored as it is.
func (f *fieldType) keepsNull() bool {
	return f.nullable || f.typ.shape == shapeAny || f.typ.shape == shapeUnknown
}

var (
	unknownType = &Type{shape: shapeUnknown, verbatim: true}
	// looseType is like it, of the server's own kinds or fields of other releases:
	// it may be that zero is taken for absent.
	looseType  = &Type{shape: shapeUnknown}
	anyType    = &Type{shape: shapeAny, verbatim: true}
	vagueType  = &Type{shape: shapeAny, verbatim: true, partial: true}
	scalarType = &Type{shape: shapeScalar}
	quantityT  = &Type{shape: shapeQuantity}
	timeT      = &Type{shape: shapeTime}
	microTimeT = &Type{shape: shapeMicroTime}
	durationT  = &Type{shape: shapeDuration}
	bytesT     = &Type{shape: shapeBytes}

	unknownField = &fieldType{typ: unknownType, presence: true}
	looseField   = &fieldType{typ: looseType, presence: true}
	anyField     = &fieldType{typ: anyType, presence: true}
	vagueField   = &fieldType{typ: vagueType, presence: true, partial: true}
	// present is what elements of lists and maps are: they exist or not.
	scalarElement = &fieldType{typ: scalarType, presence: true}
)

// field is the type of a field of a map or struct. declared fields are owned
// together with what is below them.
func (t *Type) field(name string) (f *fieldType, declared bool) {
	switch t.shape {
	case shapeStruct:
		if f, ok := t.fields[name]; ok {
			return f, true
		}
		if t.elem != nil {
			return elementOf(t.elem), false
		}
	case shapeMap:
		return elementOf(t.elem), false
	case shapeUnion:
		return t.elem.field(name)
	case shapeAny:
		if f, ok := t.fields[name]; ok {
			return f, false
		}
		if t.partial {
			return vagueField, false
		}
		return anyField, false
	}
	if f, ok := t.fields[name]; ok {
		return f, false
	}
	return t.unknown(), false
}

func (t *Type) unknown() *fieldType {
	if t.verbatim {
		return unknownField
	}
	return looseField
}

// element is the type of the elements of a list.
func (t *Type) element() *fieldType {
	switch t.shape {
	case shapeList:
		return elementOf(t.elem)
	case shapeUnion:
		return anyField
	case shapeAny, shapeUnknown:
		if t.fields != nil { // what is known of fields holds for a list of such, too
			return &fieldType{typ: t, presence: true}
		}
		if t.partial {
			return vagueField
		}
		if t.shape == shapeAny {
			return anyField
		}
	}
	return t.unknown()
}

func elementOf(t *Type) *fieldType {
	switch t {
	case scalarType:
		return scalarElement
	case anyType:
		return anyField
	case vagueType:
		return vagueField
	case looseType:
		return looseField
	case unknownType, nil:
		return unknownField
	}
	return &fieldType{typ: t, presence: true}
}

// merges reports whether maps of the type are merged key by key.
func (t *Type) merges() bool {
	switch t.shape {
	case shapeStruct, shapeMap:
		return !t.atomic
	case shapeUnknown, shapeAny:
		return true
	}
	return false
}

// asGranular is the type, merged field by field.
func (t *Type) asGranular() *Type {
	c := *t
	c.atomic = false
	return &c
}

// asAtomic is the type, replaced as a whole.
func (t *Type) asAtomic() *Type {
	c := *t
	c.atomic = true
	return &c
}
