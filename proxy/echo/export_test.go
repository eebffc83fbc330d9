package echo

// NewPerPort is New on a system that does not tie sockets to devices.
func NewPerPort(o Options) *Server {
	s := New(o)
	s.binders[false], s.binders[true] = s.newPerPort(false), s.newPerPort(true)
	return s
}

// What decodes foreign bytes.
var (
	EchoFrames  = echoFrames
	ReadMessage = readMessage
)
