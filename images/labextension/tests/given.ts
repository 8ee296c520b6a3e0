/** An answer of the session's server, as the lab gives it. */
export function owners(): Record<string, unknown> {
  return {
    answered: true,
    viewer: 'owner',
    image: 'base',
    age_ms: 1500,
    server_time: '2027-02-01T10:00:00Z',
    poll_after_s: 30,
    flavor: { name: 'quarter', title: 'A quarter of a GPU', is_gpu: true, weight_mgpu: 250 },
    gpu: { name: 'H100', share_mgpu: 250, memory_mib: 20_480, virtual: false },
    balance: {
      granted_mgpu_ms: 36_000_000_000,
      charged_mgpu_ms: 32_400_000_000,
      resets_at: '2027-02-08T05:00:00Z'
    },
    session: {
      lease_id: 'l-1',
      state: 'active',
      charged_mgpu_ms: 900_000_000,
      ends_at: '2027-02-01T12:30:00Z',
      end_text: 'Then your hours are used up.'
    },
    warn_min: [60, 15, 5, 1],
    use: { state: 'active', gpu_ratio: 0.42, memory_mib: 1536, release_at: null },
    attached: [{ id: 'a-1', ta: 'tomas', mode: 'observe', reason: 'asked', until: null }],
    help: { id: 'h-1', state: 'waiting', place: 2, message: 'NaN', claimed_by: null },
    can: { keep: false, ask: false },
    links: { hours: '/services/gpulab/hours', start: '/hub/spawn/ada' }
  };
}
