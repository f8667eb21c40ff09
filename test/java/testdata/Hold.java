import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;

/**
 * Keeps a producer and a consumer alive, so that mqadmin has something to look at: sends a message, consumes it, prints
 * "ready BROKER CLIENT-ID UNIQUE-ID OFFSET-ID" and ends when its standard input does.
 *
 * <p>Arguments as for Check. The names are java-held-SUFFIX for topic and consumer group, java-producer-SUFFIX for the
 * producer group; the message's key is "held".
 */
public final class Hold {
    public static void main(String[] args) {
        try {
            hold(args);
        } catch (Exception e) {
            e.printStackTrace();
            System.exit(1);
        }
        // The client's threads would keep the process alive.
        System.exit(0);
    }

    private static void hold(String[] args) throws Exception {
        Target target = new Target(args[0], args[1]);
        String topic = target.topic("held", "NORMAL");
        DefaultMQPushConsumer consumer = target.consumer(target.group("held"));
        Inbox inbox = new Inbox();
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(Target.into(inbox));
        target.start(consumer);

        var message = Target.message(topic, "held");
        message.setKeys("held");
        message.setTags("tag");
        var sent = target.producer().send(message);
        inbox.await(1);
        consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
        System.out.println(String.join(" ", "ready", sent.getMessageQueue().getBrokerName(), consumer.buildMQClientId(),
            sent.getMsgId(), sent.getOffsetMsgId()));
        System.in.transferTo(java.io.OutputStream.nullOutputStream());
        target.shutdown();
    }

    private Hold() {
    }
}
