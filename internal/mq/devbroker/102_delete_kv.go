package devbroker

// DeleteKVConfig (102) forgets a value that PutKVConfig has kept.
//
// Asked by: mqadmin deleteTopic and deleteKvConfig, from the name server.
// Fields:   namespace, key.
// Answers:  0, also if there is none.
func (b *Broker) deleteKV(r *request) (*response, error) {
	key := valueKey{r.text("namespace"), r.text("key")}
	if err := r.err(); err != nil {
		return nil, err
	}
	delete(b.values, key)
	return &response{}, nil
}
