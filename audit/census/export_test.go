package census

// Paged returns l as it reads members without RangeStream.
func (l Live) Paged() Live {
	l.paged = true
	return l
}
