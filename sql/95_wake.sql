
--
-- Whatever has kept a resident worker from starting may be over now
--

SELECT @extschema@.cadence_wake_worker();
