package observe

import "hash/maphash"

// objects is the set of a kind's entries by namespace and name. It is a hash table
// of pointers with linear probing: a map would hold every key a second time.
type objects struct {
	slots []*entry // a power of two of them; nil is free
	n     int
}

var objectsSeed = maphash.MakeSeed()

// minSlots is the least size of a table that is not empty.
const minSlots = 8

func (o *objects) home(k nsName) int {
	h := maphash.String(objectsSeed, k.name)
	if k.namespace != "" {
		h ^= maphash.String(objectsSeed, k.namespace) * 31
	}
	return int(h & uint64(len(o.slots)-1))
}

// find returns the slot of k, or the free one where it would be.
func (o *objects) find(k nsName) int {
	for i := o.home(k); ; i = (i + 1) & (len(o.slots) - 1) {
		if e := o.slots[i]; e == nil || e.nsName == k {
			return i
		}
	}
}

func (o *objects) get(k nsName) *entry {
	if o.n == 0 {
		return nil
	}
	return o.slots[o.find(k)]
}

// add takes an entry whose key is not there.
func (o *objects) add(e *entry) {
	if 4*(o.n+1) > 3*len(o.slots) {
		o.resize(max(minSlots, 2*len(o.slots)))
	}
	o.slots[o.find(e.nsName)] = e
	o.n++
}

// remove takes the entry of a key out. What was put behind it for want of its slot
// moves up.
func (o *objects) remove(k nsName) {
	if o.n == 0 {
		return
	}
	i := o.find(k)
	if o.slots[i] == nil {
		return
	}
	mask := len(o.slots) - 1
	o.slots[i] = nil
	o.n--
	for j := (i + 1) & mask; o.slots[j] != nil; j = (j + 1) & mask {
		// It may move to i unless its home is in (i, j].
		if home := o.home(o.slots[j].nsName); (j-home)&mask >= (j-i)&mask {
			o.slots[i], o.slots[j] = o.slots[j], nil
			i = j
		}
	}
	switch {
	case o.n == 0:
		o.slots = nil
	case 8*o.n < len(o.slots) && len(o.slots) > minSlots:
		o.resize(len(o.slots) / 2)
	}
}

func (o *objects) resize(size int) {
	old := o.slots
	o.slots = make([]*entry, size)
	for _, e := range old {
		if e != nil {
			o.slots[o.find(e.nsName)] = e
		}
	}
}

// all are the entries, in no order. The caller may remove them meanwhile.
func (o *objects) all() []*entry {
	out := make([]*entry, 0, o.n)
	for _, e := range o.slots {
		if e != nil {
			out = append(out, e)
		}
	}
	return out
}
