package live

import (
	"bytes"
	"encoding/json"

	"estate/internal/obs"
	"estate/schema"
	"estate/sync/record"
)

// edgeText is a box as it was last sent, and the number of that change.
type edgeText struct {
	text []byte
	n    uint64
}

// readEdges looks which boxes differ from what was sent. A failure keeps the last state:
// the next change, or the watch's own beat, reads again.
func (h *hub) readEdges() {
	views, err := h.server.config.Source.Edges(h.ctx, h.building)
	if err != nil {
		if h.ctx.Err() == nil {
			h.server.config.Log.WarnContext(h.ctx, "read edges", obs.Building(h.building), obs.Error(err))
		}
		return
	}
	for id, view := range views {
		text, err := json.Marshal(answer{Type: typeEdge, Building: &h.building, Edge: view})
		if err != nil {
			h.server.config.Log.ErrorContext(h.ctx, "encode edge", obs.Building(h.building), obs.Error(err))
			continue
		}
		h.keepEdge(id, text)
	}
}

func (h *hub) keepEdge(id record.ID, text []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if bytes.Equal(h.edges[id].text, text) {
		return
	}
	h.edgeN++
	h.edges[id] = edgeText{text, h.edgeN}
	h.wake()
}

// edgesAfter gives the boxes that changed after a number, and the number reached.
func (h *hub) edgesAfter(n uint64) (texts [][]byte, to uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n == h.edgeN {
		return nil, n
	}
	for _, e := range h.edges {
		if e.n > n {
			texts = append(texts, e.text)
		}
	}
	return texts, h.edgeN
}

// sendEdges tells managers how the building's boxes are.
func (c *conn) sendEdges(s *subscription) error {
	texts, n := s.hub.edgesAfter(s.edgeN)
	s.edgeN = n
	if s.viewer.Role != schema.Manager && s.viewer.Role != schema.Admin {
		return nil
	}
	for _, text := range texts {
		if err := c.sendText(text); err != nil {
			return err
		}
	}
	return nil
}
